package dockerfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/winpack/winpack/pkg/detect"
)

// Findings are what is wrong with a Dockerfile that every builder builds without a
// word, by line. The error is a *FileError.
func (p *Parsed) Findings() ([]detect.Finding, error) {
	tree, err := parser.Parse(bytes.NewReader(p.data))
	if err != nil {
		return nil, p.located(err)
	}
	f := fileFinder{name: p.name}
	for _, node := range tree.AST.Children {
		f.line = node.StartLine
		f.list(node.Original)
	}
	s, err := p.read()
	if err != nil {
		return nil, err
	}
	f.secrets(s)
	return byLine(f.found), nil
}

// fileFinder collects the findings of a Dockerfile; of flags where it has no name.
type fileFinder struct {
	name  string
	line  int
	found []detect.Finding
}

func (f *fileFinder) find(rule string, level detect.Level, message, remedy string) {
	seen := []detect.Evidence{}
	if f.name != "" {
		seen = append(seen, detect.Evidence{Path: f.name, Line: f.line})
	}
	f.found = append(f.found, detect.Finding{Rule: rule, Level: level, Message: sentence(message), Remedy: sentence(remedy), Evidence: seen})
}

// unlisted says what becomes of a list for an instruction that takes one, where it is
// no JSON; empty for the other instructions.
func unlisted(instruction string) string {
	switch instruction {
	case "entrypoint", "cmd", "run", "healthcheck":
		return "the shell gets it as one line, brackets and quotes and all"
	case "copy", "add", "volume":
		return "its words are taken as they stand, brackets and quotes and all"
	}
	return ""
}

// instruction takes the first word and the flags off a line.
func instruction(line string) (name, rest string) {
	line = strings.TrimSpace(line)
	name, rest = line, ""
	if i := strings.IndexFunc(line, unicode.IsSpace); i > 0 {
		name, rest = line[:i], strings.TrimSpace(line[i:])
	}
	for strings.HasPrefix(rest, "--") {
		i := strings.IndexFunc(rest, unicode.IsSpace)
		if i < 0 {
			return strings.ToLower(name), ""
		}
		rest = strings.TrimSpace(rest[i:])
	}
	return strings.ToLower(name), rest
}

// list looks for what was meant for a list of JSON and is none, or another one. What
// the line holds is never shown: it may be a secret.
func (f *fileFinder) list(line string) {
	name, text := instruction(line)
	if name == "onbuild" {
		name, text = instruction(text)
	}
	becomes := unlisted(name)
	if name == "healthcheck" {
		_, text = instruction(text) // CMD
	}
	if becomes == "" || !looksLikeList(text) {
		return
	}
	what := strings.ToUpper(name)
	const backslashes = `write \\ or / for each backslash of a path, as in ["C:\\app\\hello.exe"] or ["C:/app/hello.exe"]`
	var items []string
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		why, remedy := whyNoList(text, err), `write texts in double quotes with commas between them, as in ["C:\\app\\hello.exe", "-port", "80"]`
		if strings.Contains(why, `\`) {
			remedy = backslashes
		}
		f.find(RuleNoList, detect.LevelError, fmt.Sprintf("%s looks like a list of JSON and is none (%s): %s", what, why, becomes), remedy)
		return
	}
	for _, item := range items {
		if m := brokenPath.FindStringSubmatch(item); m != nil {
			f.find(RuleNoList, detect.LevelError, fmt.Sprintf("%s has a path of which JSON takes %s for a control character: no such file is in the image", what, strings.Trim(strconv.Quote(m[1]), `"`)), backslashes)
			return
		}
	}
}

// looksLikeList says whether somebody meant a list: no line for a shell of Windows
// begins with a bracket and a quote.
func looksLikeList(text string) bool {
	inner, ok := strings.CutPrefix(text, "[")
	if !ok {
		return false
	}
	if strings.ContainsRune("\"'\u201c\u201d\u2018\u2019", firstRune(strings.TrimSpace(inner))) {
		return true
	}
	inner, closed := strings.CutSuffix(inner, "]")
	return closed && inner != "" && !unicode.IsSpace(firstRune(inner)) && !strings.ContainsAny(inner, "[]")
}

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}

// brokenPath is a path of which a backslash and a letter became one character.
var brokenPath = regexp.MustCompile(`^[A-Za-z]:[^\x08\f\n\r\t]*([\x08\f\n\r\t])`)

func whyNoList(text string, err error) string {
	escape := badEscape(text)
	switch {
	case errors.As(err, new(*json.UnmarshalTypeError)):
		return "not all in it is a text in quotes"
	case escape != "":
		return printable(escape) + " is no escape of JSON"
	case strings.Contains(text, `\"`):
		return `\" is a quote in a text, and does not end it`
	case strings.ContainsAny(text, "'\u201c\u201d\u2018\u2019"):
		return `JSON knows no quotes but "`
	case !strings.HasSuffix(text, "]"):
		return "it does not end with ]"
	}
	return "a quote or a comma is missing, or there is one too many"
}

// badEscape is the first backslash that JSON does not know, with what follows it;
// empty where there is none.
func badEscape(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		rest := text[i+1:]
		switch {
		case rest == "":
			return `\`
		case unicodeEscape.MatchString(rest):
		case !strings.ContainsRune(`"\/bfnrt`, firstRune(rest)):
			return `\` + string(firstRune(rest))
		}
		i++
	}
	return ""
}

var unicodeEscape = regexp.MustCompile(`^u[0-9A-Fa-f]{4}`)
