package inventory

import (
	"fmt"
	"strings"
	"testing"
)

func TestEachRowFallsToOneShardAndStaysThere(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		counts := make([]int, n)
		for i := range 4000 {
			held := 0
			for s := range n {
				if (Shard{s, n}).Holds(fmt.Sprintf("app-%d", i)) {
					held++
					counts[s]++
				}
			}
			if held != 1 {
				t.Fatalf("app-%d falls to %d of %d shards", i, held, n)
			}
		}
		for s, c := range counts {
			if c < 4000/n*8/10 || c > 4000/n*12/10 {
				t.Errorf("shard %d/%d has %d of 4000 rows", s, n, c)
			}
		}
	}
	// Results that are there already would be nobody's if the hash changed.
	for name, want := range map[string]int{"shop": 1, "team/blog": 2, "Kasse": 1} {
		for s := range 3 {
			if got := (Shard{s, 3}).Holds(name); got != (s == want) {
				t.Errorf("%s in shard %d/3: %v", name, s, got)
			}
		}
	}
}

func TestShardsAreReadFromFlagAndEnvironment(t *testing.T) {
	for _, test := range []struct {
		text, env string
		want      Shard
		err       string
	}{
		{"0/4", "JOB_COMPLETION_INDEX=2", Shard{0, 4}, ""},
		{"3/4", "", Shard{3, 4}, ""},
		{"4/4", "", Shard{}, "from 0 to 3"},
		{"/4", "JOB_COMPLETION_INDEX=2", Shard{2, 4}, ""},
		{"/4", "JOB_COMPLETION_INDEX=4", Shard{}, "JOB_COMPLETION_INDEX is a number from 0 to 3"},
		{"/4", "CI_NODE_INDEX=2", Shard{}, "JOB_COMPLETION_INDEX, which is not set"},
		{"0/0", "", Shard{}, "number of shards"},
		{"1", "", Shard{}, "neither I/N"},
		{"-1/4", "", Shard{}, "the index"},
		{"1/x", "", Shard{}, "number of shards"},
		{"", "", Shard{}, "neither I/N"},
		{"auto", "", Shard{}, "neither is set"},
		{"auto", "JOB_COMPLETION_INDEX=1", Shard{}, "neither is set"},
		{"auto", "CI_NODE_INDEX=1 CI_NODE_TOTAL=4", Shard{0, 4}, ""},
		{"auto", "CI_NODE_INDEX=4 CI_NODE_TOTAL=4", Shard{3, 4}, ""},
		{"auto", "CI_NODE_INDEX=0 CI_NODE_TOTAL=4", Shard{}, "CI_NODE_INDEX is a number from 1 to 4"},
		{"auto", "CI_NODE_TOTAL=1", Shard{0, 1}, ""},
		{"auto", "CI_NODE_TOTAL=2", Shard{}, "CI_NODE_INDEX"},
		{"auto", "CI_NODE_INDEX=1", Shard{}, "neither is set"},
		{"auto", "SYSTEM_JOBPOSITIONINPHASE=2 SYSTEM_TOTALJOBSINPHASE=3", Shard{1, 3}, ""},
		{"auto", "CI_NODE_INDEX=1 CI_NODE_TOTAL=4 SYSTEM_JOBPOSITIONINPHASE=2 SYSTEM_TOTALJOBSINPHASE=3", Shard{}, "both"},
	} {
		getenv := func(name string) string {
			for _, pair := range strings.Fields(test.env) {
				if key, value, _ := strings.Cut(pair, "="); key == name {
					return value
				}
			}
			return ""
		}
		got, err := ParseShard(test.text, getenv)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q with %q: %v, %v; want %v, %q", test.text, test.env, got, err, test.want, test.err)
		}
	}
}
