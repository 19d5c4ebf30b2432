package main

import (
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"github.com/urfave/cli/v2"

	"github.com/winpack/winpack/cmd/winpack/internal/rules"
)

func explainCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say what a rule means, why it exists and how to fix it",
		UsageText: "winpack explain RULE... | --list",
		Description: `A finding names its rule, like WP1301. This says more about it than fits beside the finding; <value> and the
like stand for what a finding fills in.

  winpack explain WP1301
  winpack explain --list                                one rule a line, its ID first

--format json prints winpack/rules/v1.`,
		Flags: []cli.Flag{
			boolFlag("list", "", "list all rules, one a line"),
			stringFlag("format", "`FORMAT` text or json (default: text)"),
		},
		Action: func(c *cli.Context) error {
			format, err := formatOf(c)
			if err != nil {
				return err
			}
			list := c.Bool("list")
			switch {
			case list && c.NArg() > 0:
				return usagef("--list lists all rules: leave out %s", quoteAll(c.Args().Slice()))
			case !list && c.NArg() == 0:
				return usagef("name a rule, as in `winpack explain %s`, or list them with --list", rules.All()[0].ID)
			}
			found := rules.All()
			if !list {
				if found, err = namedRules(c.Args().Slice()); err != nil {
					return err
				}
			}
			document := rules.New(found)
			switch {
			case format == "json":
				return writeJSON(e.stdout, document)
			case list:
				return document.List(e.stdout)
			}
			return document.Text(e.stdout)
		},
	}
}

func namedRules(ids []string) ([]rules.Rule, error) {
	var found []rules.Rule
	for _, id := range ids {
		rule, ok := rules.Find(id)
		if !ok {
			var known []string
			for _, r := range rules.All() {
				known = append(known, r.ID)
			}
			if near, ok := suggest.Search(strings.ToUpper(id), known, true); ok {
				return nil, usagef("unknown rule %q: did you mean %s?", id, near)
			}
			return nil, usagef("unknown rule %q: `winpack explain --list` lists the rules", id)
		}
		found = append(found, rule)
	}
	return found, nil
}
