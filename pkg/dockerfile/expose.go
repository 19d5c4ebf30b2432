package dockerfile

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

func (e *evaluator) expose(cmd *instructions.ExposeCommand) error {
	c := &e.plan.Config
	for _, word := range cmd.Ports {
		// The words are split again: a variable may hold several ports.
		if _, err := e.expand(word); err != nil {
			return err
		}
		ports, err := e.lex.ProcessWords(word, e.vars)
		if err != nil {
			return err
		}
		for _, port := range ports {
			list, err := exposed(port)
			if err != nil {
				return err
			}
			for _, p := range list {
				if !slices.Contains(c.Expose, p) {
					c.Expose = append(c.Expose, p)
				}
			}
		}
	}
	slices.Sort(c.Expose)
	return nil
}

// exposed reads a port as EXPOSE takes it, [[IP:]PORT:]PORT[-PORT][/PROTOCOL], and
// lists what it exposes as PORT/PROTOCOL. What is said of the host is checked and
// not used.
func exposed(text string) ([]string, error) {
	fail := func(why string) ([]string, error) { return nil, fmt.Errorf("port %q: %s", text, why) }
	parts := strings.Split(text, ":")
	last := len(parts) - 1
	ports, proto, _ := strings.Cut(parts[last], "/")
	switch proto = strings.ToLower(proto); proto {
	case "":
		proto = "tcp"
	case "tcp", "udp", "sctp":
	default:
		return fail("the protocol is tcp, udp or sctp")
	}
	first, end, ok := portRange(ports)
	if !ok {
		return fail("a port is a number up to 65535, or two of them like 8000-8010")
	}
	if last > 0 && parts[last-1] != "" {
		from, to, ok := portRange(parts[last-1])
		if !ok || first != end && to-from != end-first {
			return fail("the port of the host is wrong; leave it out, EXPOSE does not use it")
		}
	}
	if last > 1 {
		if host := strings.Join(parts[:last-1], ":"); host != "" && net.ParseIP(strings.Trim(host, "[]")) == nil {
			return fail("the address is wrong; leave it out, EXPOSE does not use it")
		}
	}
	var list []string
	for port := first; port <= end; port++ {
		list = append(list, strconv.Itoa(port)+"/"+proto)
	}
	return list, nil
}

func portRange(text string) (first, last int, ok bool) {
	from, to, two := strings.Cut(text, "-")
	if !two {
		to = from
	}
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	return first, last, err1 == nil && err2 == nil && first >= 0 && first <= last && last <= 65535
}
