// The judge of the Secret that the operator writes: cert-manager's own
// acme-dns solver, of one cert-manager release, behind a small command.
module acme-dns-operator.github.io/hack/tools/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2

require github.com/nrdcg/goacmedns v0.2.0 // indirect
