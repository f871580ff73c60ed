/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_H
#define API_H

/*
 * AcmeDnsRegistration (acme-dns-operator.github.io/v1alpha1) as structs: decoding with everything
 * normalised, the vocabulary of its status, and the patch that writes it.
 *
 * The schema in manifests/crd holds most rules; what is checked here again is what the operator's
 * safety rests on. Conventions: sig-architecture's api-conventions.md, kstatus for Reconciling and
 * Stalled (abnormal-true: absent when not so).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "cname/cname.h"
#include "dnsname/dnsname.h"
#include "url/url.h"

#define API_GROUP	"acme-dns-operator.github.io"
#define API_VERSION	"v1alpha1"
#define API_KIND	"AcmeDnsRegistration"
#define API_PLURAL	"acmednsregistrations"
#define API_MANAGER	"acme-dns-operator"
#define API_MAX_DOMAINS 100
#define API_MAX_HEADERS 16
#define API_MAX_CA	65536 /* bytes of PEM */
#define API_MAX_TAGS	16    /* labels, and as many annotations */
#define API_MAX_TTL_S	604800

/* Annotation on a Secret: an empty one, or one without the key, may be taken over. */
#define API_ANNOTATION_ADOPT API_GROUP "/adopt"
/* Annotation on a Secret, "<old URL> <new URL>": the accounts of the one are those of the other. */
#define API_ANNOTATION_SAME_SERVER API_GROUP "/same-server"
/* On the object under deletionPolicy Delete: there may be accounts of it in the Secret, */
#define API_FINALIZER API_GROUP "/accounts"
/* and a DNSEndpoint. */
#define API_FINALIZER_ENDPOINT API_GROUP "/dns-endpoint"
/* Annotation on the object: each new value asks for new accounts once. */
#define API_ANNOTATION_ROTATE API_GROUP "/rotate"
/* Annotation on the object: each new value has the servers asked once whether the accounts live. */
#define API_ANNOTATION_PROBE API_GROUP "/probe"
/* Annotation on the object: each new value has its CNAMEs looked up once, and at once. */
#define API_ANNOTATION_VERIFY API_GROUP "/verify"
#define API_MAX_ACT	      256 /* characters of such a value */
/* Annotation on a Secret: the URL that its entries without a server_url may be sent to. */
#define API_ANNOTATION_HOST API_GROUP "/host"
/* Annotation on a Secret: the URL that what is in it may be sent to. */
#define API_ANNOTATION_CREDENTIALS_FOR API_GROUP "/credentials-for"
/* Annotation on a DNSEndpoint: the name of the object whose it is. */
#define API_ANNOTATION_REGISTRATION API_GROUP "/registration"

/* external-dns' DNSEndpoint. */
#define API_ENDPOINT_GROUP   "externaldns.k8s.io"
#define API_ENDPOINT_VERSION "v1alpha1"
#define API_ENDPOINT_PLURAL  "dnsendpoints"

enum api_policy { API_PER_DOMAIN, API_SHARED };
enum api_deletion { API_RETAIN, API_DELETE };

/* A header field whose value is in a Secret of the object's namespace. */
struct api_header {
	char *name;
	char *secret;
	char *key;
};

/* How the two ends of a registration prove themselves; names are in the object's namespace. */
struct api_auth {
	char *basic_secret; /* NULL: none */
	struct api_header *headers;
	size_t headers_len;
	const char *ca_pem;  /* what caBundle holds, not judged; interned; NULL: none */
	char *ca_config_map; /* NULL: none */
	char *ca_key;
};

/* One label or annotation for something that the operator made. */
struct api_tag {
	bool annotation;
	char *key;
	char *value;
};

struct api_template {
	size_t len;
	struct api_tag tags[];
};

/* What hands the CNAMEs to external-dns. */
struct api_endpoint {
	int64_t ttl_s;		   /* 0: external-dns' own */
	struct api_template *tags; /* for the DNSEndpoint; NULL: none */
};

struct api_spec {
	const char *host;	/* interned; normal form, see url.h */
	char *secret_name;	/* in the object's own namespace, always */
	const char *secret_key; /* interned */
	char **domains;		/* lower case, "*." stripped, each once, in the order of the spec */
	size_t domains_len;
	char **allow_from;
	size_t allow_from_len;
	enum api_policy policy;
	enum api_deletion deletion;
	bool suspend;		       /* act on nothing but deletion */
	bool verify;		       /* look the CNAMEs up */
	unsigned char names;	       /* in the spec: "*.x" and "x" are two */
	struct api_auth *auth;	       /* NULL: none of it */
	struct api_template *template; /* for the Secret; NULL: none */
	struct api_endpoint *endpoint; /* cname.dnsEndpoint; NULL: it is absent */
	/* NULL, or the first thing that this version cannot act on: "spec.domains[1]: a label is
	 * longer than 63". Nothing is registered then. */
	char *unsupported;
};

enum api_status_value { API_UNKNOWN, API_TRUE, API_FALSE };

enum api_type {
	API_READY,
	API_REGISTERED,
	API_SECRET_READY,
	API_CREDENTIALS_VALID,
	API_CNAME_READY,
	API_RECONCILING, /* present only when True, like Stalled */
	API_STALLED,
	API_TYPES,
};

/* Why a condition has its status; the names are the API (api_reason_name()). */
enum api_reason {
	API_REASON_OTHER,     /* one that we do not know: of another version */
	API_REASON_SUSPENDED, /* never visited, and Unknown */
	/* True */
	API_REASON_READY,
	API_REASON_ROTATION_NEEDED,
	API_REASON_TEMPLATE_CONFLICT, /* of SecretReady, too */
	API_REASON_TOO_MANY_NAMES,
	API_REASON_REGISTERED_ALL,
	API_REASON_STORED,
	API_REASON_ACCEPTED, /* CredentialsValid */
	/* Registered */
	API_REASON_REGISTERING,
	API_REASON_REGISTRATION_UNAVAILABLE,
	API_REASON_REGISTRATION_DENIED,
	API_REASON_INVALID_ALLOW_FROM,
	API_REASON_SERVER_UNAVAILABLE,
	API_REASON_HOST_NOT_ALLOWED,
	API_REASON_HOST_ADDRESS_REFUSED,
	API_REASON_HOST_CHANGED,
	API_REASON_DOMAIN_CONFLICT,
	API_REASON_ACCOUNT_MISSING,
	API_REASON_SECRET_CONTESTED,
	API_REASON_ACCOUNT_INCOMPLETE,
	API_REASON_INVALID_REFERENCE,
	API_REASON_UNSUPPORTED_FIELD,
	/* SecretReady */
	API_REASON_SECRET_UNPARSABLE,
	API_REASON_SECRET_IMMUTABLE,
	API_REASON_SECRET_NOT_ADOPTED,
	API_REASON_SECRET_TOO_LARGE,
	API_REASON_SECRET_DENIED,
	API_REASON_SECRET_UNAVAILABLE, /* the API server does not answer for it */
	API_REASON_NAMESPACE_TERMINATING,
	/* CredentialsValid; the first is False */
	API_REASON_CREDENTIALS_REJECTED,
	API_REASON_ADDRESS_NOT_ALLOWED,
	API_REASON_HOST_UNKNOWN,
	API_REASON_NOT_PROBED,
	API_REASON_PROBE_UNSUPPORTED,
	/* CNAMEReady; True, False up to ZoneSigned, Unknown */
	API_REASON_CNAME_FOUND,
	API_REASON_CNAME_MISSING,
	API_REASON_CNAME_MISMATCH,
	API_REASON_DNS_ENDPOINT_NOT_ALLOWED,
	API_REASON_DNS_ENDPOINT_UNAVAILABLE,
	API_REASON_ZONE_NOT_DELEGATED,
	API_REASON_ZONE_SIGNED,
	API_REASON_DNS_UNAVAILABLE,
	API_REASON_NOT_VERIFIED,
	API_REASON_VERIFICATION_DISABLED,
	/* Reconciling */
	API_REASON_PROGRESSING,
	API_REASON_PROGRESSING_WITH_RETRY,
	API_REASONS,
};

const char *api_type_name(enum api_type type);
const char *api_reason_name(enum api_reason reason);

struct api_condition {
	bool present;
	enum api_status_value status;
	enum api_reason reason;
	const char *message; /* interned, see base/intern.h */
	int64_t observed_generation;
	int64_t transition_s; /* lastTransitionTime, seconds since 1970 */
};

/* One CNAME that a person has to make; its name is "_acme-challenge." + domain. */
struct api_record {
	char *domain;
	char *value;			 /* the fulldomain */
	char *observed;			 /* Mismatch: what DNS says instead; NULL: "" */
	int64_t transition_s;		 /* lastTransitionTime of verification; -1: none */
	enum cname_verdict verification; /* UNKNOWN, FOUND, MISSING or MISMATCH */
	struct api_record *next;	 /* the one to change to, in a rotation; NULL: none */
};

struct api_status {
	int64_t observed_generation; /* -1: never visited */
	struct api_condition conditions[API_TYPES];
	struct api_record *records;
	size_t records_len;
	char *handled_rotate; /* lastHandled.rotate; NULL: none */
	char *handled_probe;  /* .probe */
	char *handled_verify; /* and .verify */
	int64_t loss_s;	      /* lastAccountLossTime, seconds since 1970; -1: none */
};

struct api_registration {
	const char *namespace; /* interned */
	char *name;
	char *uid;
	char *resource_version;
	int64_t generation;
	bool deleting;
	char **finalizers; /* all of them, ours too */
	size_t finalizers_len;
	const char *rotate; /* the annotations, interned; "" = absent */
	const char *probe;
	const char *verify;
	struct api_spec spec;
	struct api_status status;
};

/* The object decoded; the caller frees. Never NULL for a JSON object that has metadata.name and
 * uid: a spec that the schema should have refused is reported in spec.unsupported. */
struct api_registration *api_decode(const json_t *object);
void api_free(struct api_registration *registration); /* NULL is fine */
void api_freep(struct api_registration **registration);

/* The position of a domain in the spec, or -1. */
int api_domain_index(const struct api_spec *spec, const char *domain);

/* The name of a Secret, say: a DNS subdomain as Kubernetes has it, whose labels may be longer than
 * DNS' own. */
bool api_is_object_name(const char *text);
/* What status says of a domain, or NULL; lent by status until a record is added. */
struct api_record *api_record_find(const struct api_status *status, const char *domain);
/* The value in that, or NULL. */
const char *api_record_value(const struct api_status *status, const char *domain);

/* finalizer is one of ours. */
bool api_has_finalizer(const struct api_registration *registration, const char *finalizer);
/* The merge patch that adds or removes it, refused unless the object is still the one we saw. The
 * caller owns the result. */
json_t *api_finalizer_patch(const struct api_registration *have, const char *finalizer, bool add);

/* ---- status ---- */

void api_status_init(struct api_status *status, int64_t observed_generation);
void api_status_done(struct api_status *status);
void api_status_donep(struct api_status *status);

/* Sets one condition; the message is copied: UTF-8 that may be cut, also within a character. */
void api_status_set(struct api_status *status, enum api_type type, enum api_status_value value,
		    enum api_reason reason, const char *message);
/* Takes one condition over as it is in have, its observedGeneration and time too: they say of which
 * spec and since when it was true. */
void api_status_keep(struct api_status *status, enum api_type type, const struct api_status *have);
/* Of which nothing is known yet; lent by status until another is added. */
struct api_record *api_status_add_record(struct api_status *status, const char *domain,
					 const char *value) RETURNS_NONNULL;
/* Nothing is known of it yet. There is none before. */
void api_record_set_next(struct api_record *record, const char *value);
/* observed "" or NULL: nothing. */
void api_record_set(struct api_record *record, enum cname_verdict verification,
		    const char *observed);
/* What was done of what annotations ask for; NULL: nothing. */
void api_status_set_handled(struct api_status *status, const char *rotate, const char *probe,
			    const char *verify);

/* True when nothing but the times of conditions and records differs. */
bool api_status_equal(const struct api_status *a, const struct api_status *b);

/* The merge patch for the /status subresource: with resourceVersion, so that it is refused unless
 * the object is still the one we saw, and with lastTransitionTime kept where a condition's status
 * or a record's verification is that of have. The caller owns the result. */
json_t *api_status_patch(const struct api_registration *have, const struct api_status *want,
			 int64_t now_s);

/* ---- the DNSEndpoint ---- */

/* What is to stand in it for one domain; lent. */
struct api_cname {
	const char *domain;
	const char *target; /* a host name */
};

/* All that it has to say: to be created so, or, with uid and resourceVersion, to be applied. The
 * object has a spec.endpoint. The caller owns the result. */
json_t *api_endpoint_body(const struct api_registration *object, const struct api_cname *cnames,
			  size_t len);
/* What was read carries our mark for the object of that name. */
bool api_endpoint_is_ours(const json_t *endpoint, const char *name);
/* It says what body does: all of its labels and annotations and none that we put there before, and
 * its endpoints and no others. */
bool api_endpoint_says(const json_t *endpoint, const json_t *body);
/* A merge patch that takes away what body has no more of the labels and annotations that came with
 * its creation: server-side apply leaves those, as it was not it that made them. NULL: there are
 * none. The caller owns the result. */
json_t *api_endpoint_trim(const json_t *endpoint, const json_t *body);
/* DeleteOptions: that very one, as it was read. The caller owns the result. */
json_t *api_endpoint_delete(const char *uid, const char *resource_version);

#endif
