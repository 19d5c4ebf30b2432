package detect

import (
	"path"
	"slices"
	"strings"

	"github.com/winpack/winpack/pkg/detect/internal/pe"
)

// redisServers are the programs of Redis and those that speak as it does, with their
// configuration.
var redisServers = []struct {
	exe     string
	configs []string
}{
	{"redis-server.exe", []string{"redis.windows.conf", "redis.conf", "redis.windows-service.conf", "etc/redis.conf", "conf/redis.conf"}},
	{"memurai.exe", []string{"memurai.conf"}},
}

func redis(t *Tree) []Fact {
	for _, row := range redisServers {
		var b *image
		for _, c := range t.binaries {
			if c.base == row.exe && c.native() && !c.isDLL && !c.broken && (b == nil || t.depth(c.dir) < t.depth(b.dir)) {
				b = c
			}
		}
		if b == nil {
			continue
		}
		ev := []Evidence{at(b.path, b.sub, row.exe+", a native program")}
		p := &Program{Path: b.path, Form: FormNative, Home: b.dir}
		conf := ""
		for _, c := range row.configs {
			if conf = t.find(path.Join(b.dir, c)); conf != "" {
				p.Arguments = []string{windowsRelative(conf)}
				ev = append(ev, Evidence{Path: conf, Line: 1, Detail: "its configuration"})
				break
			}
		}
		if conf == "" { // a name alone proves nothing
			mark := t.findIn(b.path, t.dataOf(b), "redis_version:")
			if mark[0] < 0 {
				continue
			}
			ev = append(ev, at(b.path, pe.Span{Offset: mark[0], Length: int64(len("redis_version:"))}, "holds redis_version"))
		}
		facts := t.serverProgram(KindRedis, p, b, ev)
		facts = append(facts, serverWrites(p, "Redis", ev[:1], ".")...)
		port, local := Evidence{}, Evidence{}
		number := "6379"
		if conf != "" {
			t.lines(conf, func(n int, words []string) {
				here := Evidence{Path: conf, Line: n, Detail: clean(strings.Join(words, " "))}
				switch {
				case len(words) < 2:
				case words[0] == "port" && portOf(words[1]) != "":
					number, port = portOf(words[1]), here
				case words[0] == "bind" && !slices.ContainsFunc(words[1:], func(w string) bool { return !isLocal(strings.TrimPrefix(w, "-")) && w != "::1" }):
					local = here
				case words[0] == "requirepass" || words[0] == "masterauth":
					here.Detail = words[0] + " stands in clear text (not shown)"
					facts = append(facts, Fact{Key: "secret", Value: "redis " + words[0], about: p.Path, Evidence: []Evidence{here}})
				}
			})
		}
		if port.Path == "" {
			port = ev[0]
			port.Detail = "Redis listens on 6379 by default"
		}
		facts = append(facts, Fact{Key: "port", Value: number, source: "server", about: p.Path, Evidence: []Evidence{port}})
		if local.Path != "" {
			facts = append(facts, Fact{Key: "server-loopback", Value: local.Detail, about: p.Path, Evidence: []Evidence{local}})
		}
		return facts
	}
	return nil
}

// dataOf are the parts of a program that hold its texts.
func (t *Tree) dataOf(b *image) []pe.Span {
	var parts []pe.Span
	t.withPE(b.path, func(f *pe.File) error {
		for _, s := range f.Sections {
			if s.Name == ".rdata" || s.Name == ".data" {
				parts = append(parts, pe.Span{Offset: int64(s.Offset), Length: int64(s.Size)})
			}
		}
		return nil
	})
	return parts
}
