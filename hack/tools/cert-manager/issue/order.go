// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/dns/acmedns"
	"golang.org/x/crypto/acme"
)

// poll is the time between two looks at something that others do.
const poll = 50 * time.Millisecond

// issuance is what it takes to answer the challenges of an order.
type issuance struct {
	options
	client *acme.Client
	solver *acmedns.DNSProvider
}

// challenge is one that this program has to answer.
type challenge struct {
	authorization *acme.Authorization
	dns01         *acme.Challenge
}

// issue returns the certificate for the names, and those that lead from it to the root.
func issue(ctx context.Context, opts options) ([][]byte, error) {
	document, err := opts.secret.read(ctx)
	if err != nil {
		return nil, failure{fmt.Errorf("the Secret: %w", err), exitSecret}
	}
	// The solver takes name servers as part of its interface and asks none of them.
	solver, err := acmedns.NewDNSProviderHostBytes(opts.host, document, nil)
	if err != nil {
		return nil, failure{err, exitSolver}
	}
	client, err := newClient(ctx, opts)
	if err != nil {
		return nil, err
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(opts.names...))
	if err != nil {
		return nil, err
	}
	of := issuance{opts, client, solver}
	rounds, err := of.rounds(ctx, order.AuthzURLs)
	if err != nil {
		return nil, err
	}
	for _, round := range rounds {
		if err := of.validate(ctx, round); err != nil {
			return nil, err
		}
	}
	return of.finalize(ctx, order)
}

// newClient returns a client with a new account at the ACME server.
func newClient(ctx context.Context, opts options) (*acme.Client, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, DirectoryURL: opts.directory}
	if opts.caFile != "" {
		pem, err := os.ReadFile(opts.caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		client.HTTPClient = &http.Client{
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		}
	}
	_, err = client.Register(ctx, &acme.Account{}, acme.AcceptTOS)
	return client, err
}

// rounds returns the challenges in the order that cert-manager's scheduler gives them: two of
// one name, which a name and its wildcard are, never at once, and those of others together.
func (i issuance) rounds(ctx context.Context, urls []string) ([][]challenge, error) {
	var rounds [][]challenge
	seen := map[string]int{}
	for _, url := range urls {
		authorization, err := i.client.GetAuthorization(ctx, url)
		if err != nil {
			return nil, err
		}
		of := slices.IndexFunc(authorization.Challenges, func(c *acme.Challenge) bool { return c.Type == "dns-01" })
		if of < 0 {
			return nil, fmt.Errorf("no DNS-01 challenge for %s", authorization.Identifier.Value)
		}
		round := seen[authorization.Identifier.Value]
		seen[authorization.Identifier.Value]++
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], challenge{authorization, authorization.Challenges[of]})
	}
	return rounds, nil
}

// validate answers the challenges of one round and waits for what the ACME server finds.
func (i issuance) validate(ctx context.Context, round []challenge) error {
	for _, each := range round {
		if err := i.present(ctx, each); err != nil {
			return err
		}
	}
	for _, each := range round {
		if _, err := i.client.Accept(ctx, each.dns01); err != nil {
			return err
		}
	}
	for _, each := range round {
		if err := i.wait(ctx, each.authorization); err != nil {
			return failure{err, exitValidation}
		}
	}
	return nil
}

// present has the solver put the answer to a challenge where it is looked for.
func (i issuance) present(ctx context.Context, of challenge) error {
	name := of.authorization.Identifier.Value
	value, err := i.client.DNS01ChallengeRecord(of.dns01.Token)
	if err != nil {
		return err
	}
	fqdn := "_acme-challenge." + name + "."
	if err := i.solver.Present(ctx, name, fqdn, value); err != nil {
		return failure{fmt.Errorf("%s: %w", name, err), exitSolver}
	}
	if i.resolver == "" {
		return nil
	}
	if err := i.await(ctx, fqdn, value); err != nil {
		return failure{fmt.Errorf("%s: %w", name, err), exitResolver}
	}
	return nil
}

// await waits until the resolver shows a TXT record. Caches of the old ones are why it may
// take a moment; the question is the one that the ACME server will have.
func (i issuance) await(ctx context.Context, fqdn, value string) error {
	ctx, cancel := context.WithTimeout(ctx, i.propagation)
	defer cancel()

	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, i.resolver)
		},
	}
	for {
		values, err := resolver.LookupTXT(ctx, fqdn)
		if err == nil && slices.Contains(values, value) {
			return nil
		}
		if pause(ctx) != nil {
			return fmt.Errorf("the answer did not appear at %s: found %q, %v", i.resolver, values, err)
		}
	}
}

// wait waits until the ACME server has judged the answer, in shorter steps than the library's.
func (i issuance) wait(ctx context.Context, of *acme.Authorization) error {
	for {
		now, err := i.client.GetAuthorization(ctx, of.URI)
		if err != nil {
			return err
		}
		if now.Status != acme.StatusPending {
			_, err = i.client.WaitAuthorization(ctx, of.URI)
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// finalize has the certificate made, for a new key that nobody gets to see.
func (i issuance) finalize(ctx context.Context, order *acme.Order) ([][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request := &x509.CertificateRequest{DNSNames: i.names}
	csr, err := x509.CreateCertificateRequest(rand.Reader, request, key)
	if err != nil {
		return nil, err
	}
	chain, _, refused := i.client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if refused == nil {
		return chain, nil
	}
	// The library cannot wait where the answer does not name the order, as pebble's does
	// not; so the order itself tells whether this was an error.
	url, err := i.made(ctx, order.URI)
	if err != nil {
		return nil, errors.Join(refused, err)
	}
	return i.client.FetchCert(ctx, url, true)
}

// made waits until an order that was finalized has its certificate, and returns its URL.
func (i issuance) made(ctx context.Context, url string) (string, error) {
	for {
		order, err := i.client.GetOrder(ctx, url)
		switch {
		case err != nil:
			return "", err
		case order.Status == acme.StatusValid:
			return order.CertURL, nil
		case order.Status != acme.StatusProcessing:
			return "", fmt.Errorf("the order is %s: %v", order.Status, order.Error)
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// pause waits for a moment, or returns why there is no time left.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(poll):
		return nil
	}
}
