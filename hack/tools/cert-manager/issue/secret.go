// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const maxAnswer = 4 << 20

// secretKey names one value of a Secret.
type secretKey struct {
	namespace, name, key string
}

// read returns the value, of the cluster that the usual rules of kubeconfigs lead to.
func (s secretKey) read(ctx context.Context) ([]byte, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	target := base.JoinPath("api/v1/namespaces", s.namespace, "secrets", s.name)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return s.value(response)
}

// value returns the value out of the API server's answer, a Secret or a Status.
func (s secretKey) value(response *http.Response) ([]byte, error) {
	var answer struct {
		Message string            `json:"message"`
		Data    map[string][]byte `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, answer.Message)
	}
	value, ok := answer.Data[s.key]
	if !ok {
		return nil, fmt.Errorf("key %q not found in secret %q", s.key, s.name)
	}
	return value, nil
}
