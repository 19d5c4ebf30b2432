package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Shard is a part of an inventory: rows fall to it by a hash of their names, which
// stays the same for all time. The zero Shard is the whole.
type Shard struct{ Index, Count int }

// maxShards is more than any system runs at once.
const maxShards = 100_000

// Holds says whether the row of that name falls to the shard.
func (s Shard) Holds(name string) bool {
	if s.Count <= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])%uint64(s.Count) == uint64(s.Index)
}

// Whole says whether nothing was said of shards.
func (s Shard) Whole() bool { return s.Count == 0 }

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// ciSystem is where a CI system says which of its parallel jobs this is. They count
// from 1.
type ciSystem struct{ name, index, count string }

// GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/, Azure Pipelines:
// https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables.
var ciSystems = []ciSystem{
	{"GitLab", "CI_NODE_INDEX", "CI_NODE_TOTAL"},
	{"Azure Pipelines", "SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE"},
}

// indexVariable is where Kubernetes says which pod of an Indexed Job this is, from 0
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode).
const indexVariable = "JOB_COMPLETION_INDEX"

// ParseShard reads I/N, counted from 0; /N, of which the index is that of the pod of
// a Kubernetes Indexed Job; or auto, of which both are those of a parallel job of
// GitLab or Azure Pipelines. How many shards there are is never guessed.
func ParseShard(text string, getenv func(string) string) (Shard, error) {
	if text == "auto" {
		return ciShard(getenv)
	}
	index, count, ok := strings.Cut(text, "/")
	if !ok {
		return Shard{}, fmt.Errorf("%q is neither I/N (like 0/4), /N (in a Kubernetes Indexed Job) nor auto (in GitLab or Azure Pipelines)", text)
	}
	n, err := number(count, 1, maxShards)
	if err != nil {
		return Shard{}, fmt.Errorf("%q: the number of shards %w", text, err)
	}
	what := "the index"
	if index == "" {
		if index = getenv(indexVariable); index == "" {
			return Shard{}, fmt.Errorf("%q takes the index from %s, which is not set here: it is in a pod of an Indexed Job (completionMode: Indexed); elsewhere write I/N", text, indexVariable)
		}
		what = indexVariable
	}
	i, err := number(index, 0, n-1)
	if err != nil {
		return Shard{}, fmt.Errorf("%q: %s %w", text, what, err)
	}
	return Shard{i, n}, nil
}

func ciShard(getenv func(string) string) (Shard, error) {
	var found *ciSystem
	for i, system := range ciSystems {
		if getenv(system.count) == "" {
			continue
		}
		if found != nil {
			return Shard{}, fmt.Errorf("auto: both %s and %s are set: write I/N", found.count, system.count)
		}
		found = &ciSystems[i]
	}
	if found == nil {
		return Shard{}, fmt.Errorf("auto takes the number from %s of GitLab or %s of Azure Pipelines, and neither is set here: write I/N", ciSystems[0].count, ciSystems[1].count)
	}
	n, err := number(getenv(found.count), 1, maxShards)
	if err != nil {
		return Shard{}, fmt.Errorf("auto: %s %w", found.count, err)
	}
	index := getenv(found.index)
	if index == "" && n == 1 {
		return Shard{0, 1}, nil // GitLab sets no index for a job that is alone
	}
	i, err := number(index, 1, n)
	if err != nil {
		return Shard{}, fmt.Errorf("auto: %s %w", found.index, err)
	}
	return Shard{i - 1, n}, nil
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("is a number from %d to %d, not %q", low, high, text)
	}
	return n, nil
}
