// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/record"
)

// undepsolved is libdnf's answer where packages do not fit together.
const undepsolved = "Could not depsolve transaction"

// ourselves is part of the name under which the agent asks for transactions.
const ourselves = "kata-node-agent"

// The daemon's own texts, from rpm-ostree's rpmostreed-daemon.cxx and rpmostreed-transaction.cxx.
var (
	initiated = regexp.MustCompile(`^Initiated txn \S+ for (.*): /`)
	ended     = regexp.MustCompile(`(?s)^Txn (\S+) on \S+ (successful|failed: (.*))`)
)

// TransactionWords returns words of which each message of rpm-ostree's daemon about a transaction
// has one.
func TransactionWords() []string { return []string{"Initiated txn ", "Txn "} }

// changing are the transactions that make a deployment. The others, such as the removal of a
// pending one after a failure, do not show that an update has become possible.
func changing() []string {
	return []string{"UpdateDeployment", "Upgrade", "Deploy", "Rebase", "PkgChange", "Rollback"}
}

// UpdateBlocked returns the sentence that says why updates of the system fail because of packages
// that the agent has layered, empty where they do not, as far as that is known: rpm-ostree's status
// does not tell. Where the machine-config operator manages the node, its daemon tells; it goes back
// to the former system after a failure, so that the last transaction is a successful one.
func (f Facts) UpdateBlocked() string {
	problem := f.Complaint
	if !f.Operated {
		problem = lastFailure(f.Transactions)
	}
	at := strings.Index(problem, undepsolved)
	if f.Layered == nil || at < 0 || !f.ours() {
		return ""
	}
	names := f.culprits(problem[at:])
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("updates of this system fail because of the layered packages %s (journalctl -u rpm-ostreed): use a payload whose packages fit the new system, or one that brings QEMU",
		strings.Join(names, ", "))
}

// lastFailure returns why the last change of the system failed because packages did not fit
// together, empty where one has succeeded since. What the agent itself asked for is left out: that
// is the error of a step.
func lastFailure(transactions []string) string {
	problem, ours := "", false
	for _, message := range transactions {
		if start := initiated.FindStringSubmatch(message); start != nil {
			ours = strings.Contains(start[1], ourselves)
		}
		end := ended.FindStringSubmatch(message)
		switch {
		case end == nil:
		case end[2] == "successful" && slices.Contains(changing(), end[1]):
			problem = ""
		case !ours && strings.HasPrefix(end[3], undepsolved):
			problem = end[3]
		}
	}
	return problem
}

// culprits are the packages of ours that a problem names. Where it names none, they are all of
// ours, unless there are packages of others that it may be about.
func (f Facts) culprits(problem string) []string {
	next, _ := f.System.Next()
	layered := slices.DeleteFunc(slices.Clone(f.Layered.Packages), func(p record.Package) bool { return !slices.Contains(next.Local, p.NEVRA) })
	var named, all []string
	for _, p := range layered {
		all = append(all, p.Name)
		if strings.Contains(problem, p.NEVRA) {
			named = append(named, p.Name)
		}
	}
	if len(named) > 0 || len(next.Requested) > 0 || len(layered) < len(next.Local) {
		return named
	}
	return all
}
