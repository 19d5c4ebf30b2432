package detect

import (
	"strings"
	"testing"
)

func TestSecretOfASettingIsNamedAndNotShown(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"API_KEY", "hunter2", "API_KEY"},
		{"Mail__Password", "hunter2", "Mail__Password"},
		{"ConnectionStrings__Main", "Server=db;Password=hunter2", "connection string ConnectionStrings__Main, password"},
		{"DB", "Server=db;User Id=sa;Password=hunter2", "connection string DB, password"},
		{"FEED", "https://bob:hunter2@example.com/x", "FEED (in its URL)"},
		{"ARGS", "--token hunter2", "ARGS (in its command line)"},
		{"QUERY", "a=1&secret=hunter2", "QUERY (secret in its value)"},
		{"DB", "Server=db;Integrated Security=true", ""},
		{"API_KEY", "${API_KEY}", ""},
		{"API_KEY", "", ""},
		{"DB_PASSWORD_FILE", `C:\secrets\db`, ""},
		{"REQUIRE_PASSWORD", "true", ""},
		{"MODE", "container", ""},
		{"ASPNETCORE_URLS", "http://+:8080", ""},
		{"a\x1b=hunter2_password", "hunter2", "a?=***"},
	} {
		got := SecretSetting(test.name, test.value)
		if got != test.want || strings.Contains(got, "hunter2") {
			t.Errorf("%q = %q gives %q, want %q", test.name, test.value, got, test.want)
		}
	}
}
