package detect

import (
	"path"
	"slices"
	"strings"
)

// plainSettings are files with a setting a line, "key=value" or "key: value".
// Files of .properties are mostly texts in a language: only those are read whose names
// say that they hold settings.
var plainSettings = pattern(`(?i)^(\.env(\.\w+)?|.*\.env|.*\.ini|.*\.udl|.*\.dsn|(.*[._-])?(application|config|configuration|db|database|jdbc|hibernate|settings|server|persistence)[\w-]*\.properties)$`)

// inALanguage are the texts of an application, which speak of passwords and hold none:
// those of Struts are ApplicationResources_de.properties.
var inALanguage = pattern(`(?i)(resources?|messages?|labels?|texts?|strings?|i18n|_[a-z]{2}(_[a-z]{2})?)\.properties$`)

// notSettings are files of that form that hold none of the application.
var notSettings = []string{"desktop.ini", "php.ini-development", "php.ini-production", "win.ini", "system.ini", "my.ini", "pytest.ini", "tox.ini", "alembic.ini", "setup.ini"}

// plainSettingsOf reads the settings of files that are neither XML nor JSON.
func plainSettingsOf(t *Tree) []Fact {
	var facts []Fact
	for f := range t.withExt(".env", ".ini", ".udl", ".dsn", ".properties", ".local", ".production", ".development") {
		if !plainSettings().MatchString(f.base) || strings.HasPrefix(f.base, "php") && path.Ext(f.base) == ".ini" || slices.Contains(notSettings, f.base) || inALanguage().MatchString(f.base) || passedOver(f.dir.key) {
			continue
		}
		p := f.path()
		text, ok := t.read(p, configUnknown)
		if !ok {
			continue
		}
		facts = append(facts, settingLines(t, p, path.Ext(f.base) == ".udl", string(text))...)
	}
	return facts
}

// maxLine bounds a line with a setting.
const maxLine = 8 << 10

func settingLines(t *Tree, p string, link bool, text string) []Fact {
	var facts []Fact
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsRune("#;[!", rune(line[0])) || len(line) > maxLine {
			continue
		}
		ev := []Evidence{{Path: p, Line: number}}
		if link { // the line is a connection string
			ev[0].Detail = "a data link"
			facts = append(facts, connectionString(path.Base(p), line, ev)...)
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !ok {
			if key, value, ok = strings.Cut(line, ":"); !ok {
				continue
			}
		}
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)
		if strings.ContainsAny(key, " \t") {
			continue
		}
		ev[0].Detail = maskName(key)
		facts = append(facts, setting(t, key, value, ev)...)
	}
	return facts
}
