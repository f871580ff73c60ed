// SPDX-License-Identifier: Apache-2.0

// Command present does with an accounts document what cert-manager does with it
// at a DNS-01 challenge: it hands the bytes of the Secret's key to cert-manager's
// acme-dns solver and lets the solver put a token where the challenge wants it.
//
//	present --host URL --domain NAME --token VALUE [--accounts FILE] <document
//
// It exits 0 when the solver presented the token, 1 with the solver's own error on
// standard error when it did not, and 2 when the command line is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/dns/acmedns"
)

const (
	exitRefused = 1
	exitUsage   = 2
)

type options struct {
	host     string
	domain   string
	token    string
	accounts string
	timeout  time.Duration
}

func main() {
	opts, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "present:", err)
		os.Exit(exitUsage)
	}
	if err := present(opts, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitRefused)
	}
}

// parse reads the command line; a wrong flag and --help end the program here.
func parse(args []string) (options, error) {
	var opts options

	flags := flag.NewFlagSet("present", flag.ExitOnError)
	flags.StringVar(&opts.host, "host", "", "base `URL` of the acme-dns API, the Issuer's dns01.acmeDNS.host")
	flags.StringVar(&opts.domain, "domain", "", "`name` to present for; a leading *. is dropped, as an ACME server does")
	flags.StringVar(&opts.token, "token", "", "`value` of the TXT record, 43 characters")
	flags.StringVar(&opts.accounts, "accounts", "-", "`file` that holds the document, - for standard input")
	flags.DurationVar(&opts.timeout, "timeout", 30*time.Second, "give up after this `time`")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	switch {
	case flags.NArg() > 0:
		return opts, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.host == "":
		return opts, errors.New("--host is missing")
	case opts.domain == "":
		return opts, errors.New("--domain is missing")
	case opts.token == "":
		return opts, errors.New("--token is missing")
	}
	return opts, nil
}

// present reads the document and has cert-manager's solver present the token through it.
func present(opts options, stdin io.Reader) error {
	document, err := read(opts.accounts, stdin)
	if err != nil {
		return err
	}
	// The solver takes name servers as part of its interface and asks none of them.
	solver, err := acmedns.NewDNSProviderHostBytes(opts.host, document, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), opts.timeout)
	defer cancel()

	domain := strings.TrimPrefix(opts.domain, "*.")
	return solver.Present(ctx, domain, "_acme-challenge."+domain+".", opts.token)
}

// read returns the bytes of the named file, or of standard input for "-".
func read(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}
