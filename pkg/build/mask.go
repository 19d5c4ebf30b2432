package build

import (
	"net/url"
	"strings"
)

// Mask takes name and password out of an address: what stands between the scheme,
// where there is one, and the last @. The path of a socket or of a pipe has neither.
func Mask(address string) string {
	if secret := userOf(address); secret != "" {
		before, after, _ := strings.Cut(address, secret+"@")
		return before + "***@" + after
	}
	return address
}

// userOf is the name and password in an address.
func userOf(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	switch {
	case !ok || strings.ContainsAny(scheme, ":@/"):
		rest = address
	case scheme == "unix" || scheme == "npipe":
		return ""
	}
	return rest[:max(0, strings.LastIndexByte(rest, '@'))]
}

// Masker returns a function that takes names and passwords out of messages: those
// of the given addresses wherever they stand, and what looks like them. What it
// returns is one line.
func Masker(addresses ...string) func(string) string {
	var secrets []string
	add := func(s string) {
		if len(s) > 2 {
			secrets = append(secrets, s, "***")
		}
	}
	for _, address := range addresses {
		user := userOf(address)
		add(user)
		if decoded, err := url.PathUnescape(user); err == nil {
			add(decoded)
		}
		if _, password, ok := strings.Cut(user, ":"); ok {
			add(password)
		}
	}
	known := strings.NewReplacer(secrets...)
	return func(text string) string {
		words := strings.Fields(known.Replace(text))
		for i, word := range words {
			words[i] = Mask(word)
		}
		return strings.Join(words, " ")
	}
}
