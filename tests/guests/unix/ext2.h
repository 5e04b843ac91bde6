/* SPDX-License-Identifier: MIT */
/*
 * The second extended file system: what lies where on the disk, and what its files here share.
 *
 *   ext2.c        mounting, files, names
 *   ext2_dir.c    the entries of one directory
 *   ext2_map.c    blocks of a file, free blocks and inodes
 *
 * Blocks are 4 KiB, so that a block is a page of the cache. Numbers that the disk gives are checked
 * before they are used: a broken disk gives -EIO.
 *
 * Locking: everything but the mounting is done with ext2_fs.lock held. A page of the disk is put
 * before the next is got, unless both are only read (bcache_get()).
 *
 * Source: "The Second Extended File System, Internal Layout", D. Poirier.
 */
#ifndef TESTS_GUESTS_UNIX_EXT2_H
#define TESTS_GUESTS_UNIX_EXT2_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/unix/disk.h"
#include "tests/guests/unix/fs.h"
#include "tests/guests/unix/mutex.h"

#define EXT2_MAGIC         0xef53
#define EXT2_SUPER         1024   /* byte of the disk */
#define EXT2_ROOT          2      /* inode */
#define EXT2_CLEAN         1      /* state */
#define EXT2_FILETYPE      2      /* incompat: entries say what they name */
#define EXT2_SPARSE        1      /* ro_compat: fewer copies of the superblock */
#define EXT2_LARGE         2      /* ro_compat: files over 2 GiB */
#define EXT2_INDEXED       0x1000 /* inode flag: the directory has a tree of hashes */
#define EXT2_FORMAT        0xf000 /* of mode */
#define EXT2_DIR           0x4000
#define EXT2_FILE          0x8000
#define EXT2_TYPE_FILE     1 /* of an entry */
#define EXT2_TYPE_DIR      2
#define EXT2_PER_BLOCK     (BLOCK / 4) /* block numbers in a block */
#define EXT2_DIRECT        12
#define EXT2_BLOCK_SECTORS (BLOCK / 512)
#define EXT2_MAX_SIZE      0x7fffffffull

struct ext2_super {
	uint32_t inodes, blocks, reserved, free_blocks, free_inodes, first_block, log_block,
		log_fragment, blocks_per_group, fragments_per_group, inodes_per_group, mounted,
		written;
	uint16_t mounts, max_mounts, magic, state, errors, minor;
	uint32_t checked, interval, creator, revision;
	uint16_t uid, gid;
	uint32_t first_inode;
	uint16_t inode_size, group;
	uint32_t compat, incompat, ro_compat;
};

struct ext2_group {
	uint32_t block_map, inode_map, inode_table;
	uint16_t free_blocks, free_inodes, dirs, pad;
	uint32_t reserved[3];
};

struct ext2_inode {
	uint16_t mode, uid;
	uint32_t size, accessed, changed, modified, deleted;
	uint16_t gid, links;
	uint32_t sectors, flags, os, block[15], generation, acl, size_high, fragment;
	uint8_t os_more[12];
};

struct ext2_entry {
	uint32_t inode; /* 0: the place is free */
	uint16_t len;   /* to the next entry */
	uint8_t name_len, type;
	char name[];
};

_Static_assert(sizeof(struct ext2_super) == 104, "superblock");
_Static_assert(sizeof(struct ext2_group) == 32, "group");
_Static_assert(sizeof(struct ext2_inode) == 128, "inode");

/* An inode in memory: a file in use, or a directory that is looked at. */
struct ext2_node {
	struct node node; /* the first member; its size is the file's, the inode's may be behind */
	uint32_t nr;      /* 0: the slot is free */
	bool dirty;
	struct ext2_inode inode;
};

struct ext2_fs {
	struct mutex lock;
	struct blkdev *disk;
	bool readonly;
	uint32_t blocks, inodes, first_inode, blocks_per_group, inodes_per_group, groups;
	uint32_t inode_size;
};

extern struct ext2_fs ext2_fs;

/* ---- ext2_map.c ---- */

enum ext2_kind { EXT2_BLOCKS, EXT2_INODES };

/* A free one, near a group: not free any more. 0, -ENOSPC, -EIO. */
int ext2_take(enum ext2_kind kind, uint32_t group, bool is_dir, uint32_t *nr);
int ext2_give(enum ext2_kind kind, uint32_t nr, bool is_dir);
/* Where an inode lies: block and byte in it. 0 or -EIO. */
int ext2_place(uint32_t nr, uint32_t *block, uint32_t *offset);
/* The block of a file; 0: there is none. create: a block of zeroes is made where there is none. */
int ext2_map(struct ext2_node *n, uint64_t index, bool create, uint32_t *block);
/* Blocks from `keep` on are given back. */
int ext2_cut(struct ext2_node *n, uint64_t keep);

/* ---- ext2_dir.c ---- */

/* 0, -ENOENT, -EIO */
int ext2_find(struct ext2_node *dir, const char *name, size_t len, uint32_t *inode);
int ext2_add(struct ext2_node *dir, const char *name, size_t len, uint32_t inode, uint8_t type);
int ext2_remove(struct ext2_node *dir, const char *name, size_t len);
/* The entries of a new directory. */
int ext2_begin_dir(struct ext2_node *dir, uint32_t parent);
/* The entry at a place, or the next one that names something; *place moves behind it. -ENOENT: none. */
int ext2_next(struct ext2_node *dir, uint64_t *place, uint32_t *inode, uint8_t *type, char *name,
              size_t size);

#endif /* TESTS_GUESTS_UNIX_EXT2_H */
