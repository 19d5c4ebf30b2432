package main

import (
	"cmp"
	"encoding/csv"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/util/suggest"

	"github.com/winpack/winpack/pkg/build"
)

// parseOutput reads one -o of build, in buildx's spelling: key=value pairs
// between commas, quoted as in CSV. push is true for type=registry.
func parseOutput(value string) (out build.Output, push bool, err error) {
	fail := func(format string, args ...any) (build.Output, bool, error) {
		return build.Output{}, false, usagef("-o "+strconv.Quote(value)+": "+format, args...)
	}
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return fail("write it like type=oci,dest=image.tar")
	}
	out.Tar = true
	seen := map[string]bool{}
	unknown := ""
	for _, field := range fields {
		key, v, ok := strings.Cut(field, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok {
			return fail("a folder of files is no image: use type=oci,dest=%s", field)
		}
		if seen[key] {
			return fail("%s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "type":
			out.Type = v
		case "dest":
			out.Dest = v
		case "tar":
			if out.Tar, err = strconv.ParseBool(v); err != nil {
				return fail("tar is true or false, not %q", v)
			}
		case "base":
			if v != "sparse" {
				return fail("base is sparse or left out, not %q", v)
			}
			out.Sparse = true
		default:
			unknown = cmp.Or(unknown, key)
		}
	}
	// A type that winpack does not have comes first: its parameters are its own.
	if unknown != "" && slices.Contains([]string{"oci", "registry", "docker", ""}, out.Type) {
		keys := []string{"type", "dest", "tar", "base"}
		if near, ok := suggest.Search(unknown, keys, true); ok {
			return fail("unknown parameter %q: did you mean %s?", unknown, near)
		}
		return fail("unknown parameter %q: the parameters are %s", unknown, orList(keys))
	}
	switch out.Type {
	case "oci":
		if out.Dest == "" || out.Dest == "-" {
			return fail("name the file: type=oci,dest=image.tar (or a folder: type=oci,dest=DIR,tar=false)")
		}
		return out, false, nil
	case "registry":
		if len(seen) > 1 {
			return fail("type=registry takes no parameter: -t names where to push")
		}
		return build.Output{}, true, nil
	case "docker":
		switch {
		case out.Dest == "-":
			return fail("name the file: type=docker,dest=image.tar")
		case !out.Tar:
			return fail("docker load takes a tar: leave tar=false out")
		case out.Sparse:
			return fail("docker load takes complete images: leave base=sparse out")
		}
		return out, false, nil
	case "":
		return fail("the type is missing: type=oci, type=docker or type=registry")
	case "image":
		return fail("use --push, or type=registry")
	case "local", "tar":
		return fail("it saves files and no image: use type=oci,dest=image.tar")
	default:
		if near, ok := suggest.Search(out.Type, []string{"oci", "docker", "registry"}, true); ok {
			return fail("unknown type %q: did you mean %s?", out.Type, near)
		}
		return fail("unknown type %q: the types are oci, docker and registry", out.Type)
	}
}

// parseOutputs reads all -o and --push.
func parseOutputs(values []string, push bool) ([]build.Output, bool, error) {
	var outputs []build.Output
	for _, value := range values {
		out, toRegistry, err := parseOutput(value)
		if err != nil {
			return nil, false, err
		}
		if toRegistry {
			push = true
			continue
		}
		same := func(o build.Output) bool { return filepath.Clean(o.Dest) == filepath.Clean(out.Dest) }
		if slices.ContainsFunc(outputs, same) {
			if out.Dest == "" {
				continue // --load beside -o type=docker
			}
			return nil, false, usagef("-o names %q twice", out.Dest)
		}
		outputs = append(outputs, out)
	}
	return outputs, push, nil
}
