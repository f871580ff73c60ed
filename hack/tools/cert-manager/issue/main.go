// SPDX-License-Identifier: Apache-2.0

// Command issue gets a certificate as cert-manager does with an acme-dns solver:
// it reads the accounts document from the Secret through the API server that
// KUBECONFIG names, orders the certificate, has cert-manager's own solver answer
// each DNS-01 challenge, waits until a resolver shows the answer, and prints the
// certificate with its chain as PEM on standard output.
//
//	issue --directory URL --ca-file FILE --host URL --secret NAMESPACE/NAME/KEY [--resolver ADDRESS:PORT] NAME...
//
// Its exit status tells what failed, and standard error why:
//
//	1  the order: the certificate authority cannot be reached, or refuses it
//	2  the command line
//	3  the Secret: it cannot be read, or lacks the key
//	4  the solver: no account for a name, or acme-dns refuses it
//	5  the resolver: it does not show the answer to a challenge
//	6  the validation: the certificate authority does not take the answer
package main

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	exitOrder      = 1
	exitUsage      = 2
	exitSecret     = 3
	exitSolver     = 4
	exitResolver   = 5
	exitValidation = 6
)

// failure is an error that has an exit status of its own.
type failure struct {
	error
	status int
}

func (f failure) Unwrap() error { return f.error }

type options struct {
	directory   string
	caFile      string
	host        string
	secret      secretKey
	resolver    string
	propagation time.Duration
	timeout     time.Duration
	names       []string
}

func main() {
	opts, err := parse(os.Args[1:])
	if err != nil {
		exit(failure{err, exitUsage})
	}
	ctx, cancel := context.WithTimeout(context.Background(), opts.timeout)
	defer cancel()

	chain, err := issue(ctx, opts)
	if err != nil {
		exit(err)
	}
	for _, certificate := range chain {
		block := pem.Block{Type: "CERTIFICATE", Bytes: certificate}
		if err := pem.Encode(os.Stdout, &block); err != nil {
			exit(err)
		}
	}
}

func exit(err error) {
	status := exitOrder
	var failed failure
	if errors.As(err, &failed) {
		status = failed.status
	}
	fmt.Fprintln(os.Stderr, "issue:", err)
	os.Exit(status)
}

// parse reads the command line; a wrong flag and --help end the program here.
func parse(args []string) (options, error) {
	var opts options
	var secret string

	flags := flag.NewFlagSet("issue", flag.ExitOnError)
	flags.StringVar(&opts.directory, "directory", "", "`URL` of the ACME directory")
	flags.StringVar(&opts.caFile, "ca-file", "", "`file` of the certificates that verify the ACME server (default: the system's)")
	flags.StringVar(&opts.host, "host", "", "base `URL` of the acme-dns API, the Issuer's dns01.acmeDNS.host")
	flags.StringVar(&secret, "secret", "", "`namespace/name/key` of the accounts document")
	flags.StringVar(&opts.resolver, "resolver", "", "`address:port` of the resolver that has to show the answers first (default: none)")
	flags.DurationVar(&opts.propagation, "propagation", 10*time.Second, "wait this `time` for the resolver")
	flags.DurationVar(&opts.timeout, "timeout", time.Minute, "give up after this `time`")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	opts.names = flags.Args()
	parts := strings.Split(secret, "/")
	switch {
	case opts.directory == "":
		return opts, errors.New("--directory is missing")
	case opts.host == "":
		return opts, errors.New("--host is missing")
	case len(parts) != 3:
		return opts, errors.New("--secret is not namespace/name/key")
	case len(opts.names) == 0:
		return opts, errors.New("no name to issue for")
	}
	opts.secret = secretKey{parts[0], parts[1], parts[2]}
	return opts, nil
}
