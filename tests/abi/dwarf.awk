# SPDX-License-Identifier: MIT
#
# Reads "readelf --debug-dump=info" of one object and prints what its types look like, one fact per line:
#
#   type   struct|union NAME size
#   field  struct|union NAME path offset size signature
#   enum   NAME enumerator value
#   alias  NAME size signature                      (a typedef)
#
# Members of nested types without a name are printed under the outer type, with a dotted path; a nested type that has
# a name is printed once, on its own. A structure without a tag that a typedef names goes by that name.
# Invariant: the output depends on the types only, not on their order in the source, once it is sorted.

/^ <[0-9a-f]+><[0-9a-f]+>: Abbrev Number: / {
	split($0, part, /[<>]/)
	depth = hex(part[2])
	cur = part[4]
	if ($0 !~ /\(DW_TAG_/) {
		next
	}
	match($0, /DW_TAG_[a-z_]+/)
	tag[cur] = substr($0, RSTART + 7, RLENGTH - 7)
	open_at[depth] = cur
	up = depth > 0 ? open_at[depth - 1] : ""
	kids[up] = kids[up] " " cur
	order[++count] = cur
	next
}
/DW_AT_name +:/ { sub(/^.*DW_AT_name +: /, ""); sub(/^\(.*\): /, ""); sub(/[ \t]+$/, ""); name[cur] = $0; next }
/DW_AT_byte_size +:/ { size[cur] = $NF; next }
/DW_AT_encoding +:/ { match($0, /: *[0-9]+/); enc[cur] = substr($0, RSTART + 1, RLENGTH - 1) + 0; next }
/DW_AT_data_member_location:/ { at[cur] = $NF; next }
/DW_AT_upper_bound +:/ { upper[cur] = $NF; next }
/DW_AT_const_value +:/ { value[cur] = $NF; next }
/DW_AT_type +:/ { match($0, /<0x[0-9a-f]+>/); type[cur] = substr($0, RSTART + 3, RLENGTH - 4); next }

function hex(s,    i, n)
{
	n = 0
	for (i = 1; i <= length(s); i++)
		n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return n
}

function is_group(t)
{
	return t in tag && (tag[t] == "structure_type" || tag[t] == "union_type")
}

# Number of elements of an array type; 0 where the declaration gives none.
function elements(t,    list, n, i, all)
{
	n = split(kids[t], list, " ")
	all = 1
	for (i = 1; i <= n; i++)
		if (tag[list[i]] == "subrange_type")
			all *= (list[i] in upper) && upper[list[i]] ~ /^[0-9]+$/ ? upper[list[i]] + 1 : 0
	return all
}

function size_of(t)
{
	if (t in size)
		return size[t] + 0
	if (!(t in tag))
		return 0
	if (tag[t] == "array_type")
		return elements(t) * size_of(type[t])
	if (t in type)
		return size_of(type[t])
	return 0
}

# A type without its typedefs, so that "unsigned long" and "uint64_t" are one. Handles keep their name.
function signature(t)
{
	if (!(t in tag))
		return "void"
	if (tag[t] == "base_type")
		return (enc[t] == 5 || enc[t] == 6 ? "s" : enc[t] == 7 || enc[t] == 8 ? "u" : "e" enc[t] ".") size[t]
	if (tag[t] == "pointer_type")
		return "pointer"
	if (tag[t] == "array_type")
		return "[" elements(t) "]" signature(type[t])
	if (tag[t] == "enumeration_type")
		return "enum:" name[t]
	if (is_group(t))
		return (tag[t] == "union_type" ? "union:" : "struct:") (t in name ? name[t] : "-")
	if (tag[t] == "typedef") {
		if (is_group(type[t]) && !(type[t] in name))
			return name[t]
		return signature(type[t])
	}
	return t in type ? signature(type[t]) : "void"
}

function fields(kind, owner, t, path, base,    list, n, i, m, where, inner, full)
{
	n = split(kids[t], list, " ")
	for (i = 1; i <= n; i++) {
		m = list[i]
		if (tag[m] != "member")
			continue
		where = base + (m in at ? at[m] : 0)
		inner = type[m]
		full = m in name ? (path == "" ? name[m] : path "." name[m]) : path
		if (m in name)
			print "field", kind, owner, full, where, size_of(inner), signature(inner)
		if (tag[inner] == "array_type")
			inner = type[inner]
		if (is_group(inner) && !(inner in name))
			fields(kind, owner, inner, full, where)
	}
}

END {
	for (c = 1; c <= count; c++) {
		t = order[c]
		if (is_group(t) && (t in name) && (t in size)) {
			k = tag[t] == "union_type" ? "union" : "struct"
			print "type", k, name[t], size[t]
			fields(k, name[t], t, "", 0)
		} else if (tag[t] == "typedef") {
			print "alias", name[t], size_of(type[t]), signature(type[t])
			if (is_group(type[t]) && !(type[t] in name)) {
				k = tag[type[t]] == "union_type" ? "union" : "struct"
				print "type", k, name[t], size[type[t]]
				fields(k, name[t], type[t], "", 0)
			}
		} else if (tag[t] == "enumeration_type") {
			n = split(kids[t], list, " ")
			for (i = 1; i <= n; i++)
				print "enum", (t in name ? name[t] : "-"), name[list[i]], value[list[i]]
		}
	}
}
