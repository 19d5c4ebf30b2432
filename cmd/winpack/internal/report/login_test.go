package report

import "testing"

func TestLoginsInAddressesAreMasked(t *testing.T) {
	for text, want := range map[string]string{
		`base "user:hunter2@host/x:1" is no reference`: `base "***@host/x:1" is no reference`,
		"https://u:hunter2@h/apps":                     "https://***@h/apps",
		"https://token@h/apps does not exist":          "https://***@h/apps does not exist",
		"(from user:hunter2@127.0.0.1:5077/mcr)":       "(from ***@127.0.0.1:5077/mcr)",
		"FROM user:hunter2@h/x: no":                    "FROM ***@h/x: no",
		// No logins.
		"shop:1.4@sha256:0123":                              "shop:1.4@sha256:0123",
		"localhost:5000/shop@sha256:0123":                   "localhost:5000/shop@sha256:0123",
		`"C:\a b@c.txt": a person@example.com wrote it`:     `"C:\a b@c.txt": a person@example.com wrote it`,
		"Dockerfile:3: write to admin@example.com and more": "Dockerfile:3: write to admin@example.com and more",
		"ssh -p 22: me@host":                                "ssh -p 22: me@host",
	} {
		if got := MaskLogins(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
