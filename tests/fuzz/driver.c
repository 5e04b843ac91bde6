/* SPDX-License-Identifier: MIT */
/*
 * Drives one fuzz target without a fuzzing engine: replays a corpus, then mutates it for a bounded time.
 *
 *   driver CORPUS_DIR [SECONDS [SEED]]
 *
 * The target is a plain function, named by the build in TARGET; it returns 0 and must not crash. When it
 * does, the input is found in the file that the closing message of the signal handler names.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int TARGET(const uint8_t *data, size_t len);

#define INPUT_MAX  8192
#define CORPUS_MAX 4096

struct input {
	size_t len;
	uint8_t *data;
};

static struct input corpus[CORPUS_MAX];
static size_t nr_corpus;
static uint8_t current[INPUT_MAX];
static size_t current_len;
static uint64_t rng;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static size_t below(size_t n)
{
	return n ? next_random() % n : 0;
}

/* Keeps the input that killed us; only async-signal-safe calls. */
static void save_and_die(int sig)
{
	static const char text[] = "fuzz: the input that failed is in ./fuzz-crash.bin\n";
	int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, current, current_len) == (ssize_t)current_len)
		(void)!write(2, text, sizeof(text) - 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void run(const uint8_t *data, size_t len)
{
	memcpy(current, data, len);
	current_len = len;
	TARGET(current, current_len);
}

static void load_file(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (nr_corpus == CORPUS_MAX || stat(path, &st) || !S_ISREG(st.st_mode))
		return;
	f = fopen(path, "rb");
	if (!f)
		return;
	corpus[nr_corpus].data = malloc(INPUT_MAX);
	if (corpus[nr_corpus].data) {
		corpus[nr_corpus].len = fread(corpus[nr_corpus].data, 1, INPUT_MAX, f);
		nr_corpus++;
	}
	fclose(f);
}

static void load_corpus(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		load_file(dir, e->d_name);
	closedir(d);
}

static size_t mutate(uint8_t *buf)
{
	static const uint64_t edges[] = { 0,      1,          0x7f,     0x80,
		                          0xff,   0xfff,      0x1000,   0x7fff,
		                          0xffff, 0x7fffffff, 1u << 31, ~0u,
		                          ~0ull,  1ull << 63, 0x7ff0,   0x00007ffffffff000ull };
	size_t len = 0, i, n = 1 + below(8);

	if (nr_corpus && below(8)) {
		const struct input *in = &corpus[below(nr_corpus)];

		len = in->len;
		memcpy(buf, in->data, len);
	}
	if (len < 16 || !below(16)) {
		len = 16 + below(INPUT_MAX / 8);
		for (i = 0; i < len; i++)
			buf[i] = (uint8_t)next_random();
	}
	for (i = 0; i < n; i++) {
		size_t at = below(len), size = (size_t)1 << below(4);
		uint64_t v = below(2) ? edges[below(sizeof(edges) / sizeof(*edges))]
		                      : next_random();

		if (at + size > len)
			continue;
		switch (below(4)) {
		case 0:
			buf[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			memcpy(buf + at, &v, size);
			break;
		case 2:
			memmove(buf + at, buf + below(len - size + 1), size);
			break;
		default:
			buf[at] = (uint8_t)(buf[at] + 1 - 2 * below(2));
		}
	}
	return len;
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? atof(argv[2]) : 0;
	struct timespec start, now;
	uint8_t buf[INPUT_MAX];
	unsigned long runs = 0;
	size_t i;

	rng = argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 0x9e3779b97f4a7c15ull;
	signal(SIGSEGV, save_and_die);
	signal(SIGABRT, save_and_die);
	signal(SIGBUS, save_and_die);
	signal(SIGFPE, save_and_die);
	signal(SIGILL, save_and_die);
	if (argc > 1)
		load_corpus(argv[1]);
	for (i = 0; i < nr_corpus; i++, runs++)
		run(corpus[i].data, corpus[i].len);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (i = 0; seconds > 0 && i < 16; i++, runs++)
			run(buf, mutate(buf));
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
	         seconds);
	printf("%zu inputs kept, %lu runs\n1 passed, 0 failed, 0 skipped\n", nr_corpus, runs);
	for (i = 0; i < nr_corpus; i++)
		free(corpus[i].data);
	return 0;
}
