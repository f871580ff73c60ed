/* SPDX-License-Identifier: Apache-2.0 */

/* What is explored: who is there, what they may do, and how often what may go wrong. */

#include "explore.h"

#define SPEC_AT(host, domains)                                                                     \
	"{'host':'https://" host ".test','accountSecretRef':{'name':'s','key':'" KEY               \
	"'},'domains':[" domains "],'accountPolicy':'PerDomain'}"
#define SPEC(domains) SPEC_AT("one", domains)
#define SHARED(domains)                                                                            \
	"{'host':'https://one.test','accountSecretRef':{'name':'s','key':'" KEY                    \
	"'},'domains':[" domains "],'accountPolicy':'Shared'}"

#define DELETING(domains)                                                                          \
	"{'host':'https://one.test','accountSecretRef':{'name':'s','key':'" KEY                    \
	"'},'domains':[" domains "],'accountPolicy':'PerDomain','deletionPolicy':'Delete'}"

#define TEMPLATED(domain, deletion, template)                                                      \
	"{'host':'https://one.test','accountSecretRef':{'name':'s','key':'" KEY                    \
	"'},'domains':['" domain "'],'accountPolicy':'PerDomain','deletionPolicy':'" deletion      \
	"','secretTemplate':" template "}"

#define REFERRING(domains)                                                                         \
	"{'host':'https://one.test','accountSecretRef':{'name':'s','key':'" KEY                    \
	"'},'domains':[" domains "],'accountPolicy':'PerDomain',"                                  \
	"'registrationAuth':{'basic':{'secretRef':{'name':'login'}}},"                             \
	"'caBundleRef':{'kind':'ConfigMap','name':'ca','key':'ca.crt'}}"

#define OPAQUE(data) "{'type':'Opaque','metadata':{'annotations':{}},'data':{" data "}}"

/* Made by hand: in the order and the letters of Go's decoder, one entry of another domain, one key
 * of another program, members that nobody of us knows. */
#define HAND_MADE                                                                                  \
	"'" KEY "':{'a.test':{'FullDomain':'20000000-0000-4000-8000-000000000025.one.test',"       \
	"'subdomain':'s','Username':'u','password':'p','note':{'by':'hand'}},"                     \
	"'foreign.test':{'fulldomain':'f','x':1}},'other':{'k':[1,2]}"

/* Of a later version, which knows more members than this one. */
#define UNKNOWN_MEMBERS                                                                            \
	"'" KEY "':{'foreign.test':{'z':null}},'" LEDGER_OWN_KEY                                   \
	"':{'version':1,'owners':{},'later':{'x':1},'keys':{'" KEY                                 \
	"':{'a.test':{'later':[1,{'y':2}]},'foreign.test':{'owner':'uid-77','w':3}},"              \
	"'another':{'a.test':{'later':4}}}}"

/* As this operator leaves it when a.test of the first object is registered. */
#define REGISTERED                                                                                 \
	"'" KEY "':{'a.test':{'fulldomain':'20000000-0000-4000-8000-000000000025.one.test',"       \
	"'subdomain':'s','username':'u','password':'p','allowfrom':[],"                            \
	"'server_url':'https://one.test'}},'" LEDGER_OWN_KEY                                       \
	"':{'version':1,'created':true,'owners':{'uid-1':'object-0'},'keys':{'" KEY                \
	"':{'a.test':{'owner':'uid-1','host':'https://one.test','origin':'registered'}}}}"

/* The same of a set of two. */
#define OF_A_SET                                                                                   \
	"{'fulldomain':'20000000-0000-4000-8000-000000000025.one.test','subdomain':'s',"           \
	"'username':'u','password':'p','allowfrom':[],'server_url':'https://one.test'}"
#define RECORD_OF_A_SET "{'owner':'uid-1','host':'https://one.test','origin':'registered'}"
#define REGISTERED_SET                                                                             \
	"'" KEY "':{'a.test':" OF_A_SET ",'b.test':" OF_A_SET "},'" LEDGER_OWN_KEY                 \
	"':{'version':1,'created':true,'owners':{'uid-1':'object-0'},'keys':{'" KEY                \
	"':{'a.test':" RECORD_OF_A_SET ",'b.test':" RECORD_OF_A_SET "}}}"

/* And of two domains with an account each. */
#define REGISTERED_PAIR                                                                            \
	"'" KEY "':{'a.test':" OF_A_SET ",'b.test':{'fulldomain':"                                 \
	"'20000000-0000-4000-8000-000000000026.one.test','subdomain':'s','username':'v',"          \
	"'password':'p','allowfrom':[],'server_url':'https://one.test'}},'" LEDGER_OWN_KEY         \
	"':{'version':1,'created':true,'owners':{'uid-1':'object-0'},'keys':{'" KEY                \
	"':{'a.test':" RECORD_OF_A_SET ",'b.test':" RECORD_OF_A_SET "}}}"

/* Of two objects, each with one of them; template: what our document says of labels. */
#define RECORD_OF(uid) "{'owner':'" uid "','host':'https://one.test','origin':'registered'}"
#define REGISTERED_TWO(template)                                                                   \
	"'" KEY "':{'a.test':" OF_A_SET ",'b.test':" OF_A_SET "},'" LEDGER_OWN_KEY                 \
	"':{'version':1,'created':true,'owners':{'uid-1':'object-0','uid-2':'object-1'},'keys':{"  \
	"'" KEY                                                                                    \
	"':{'a.test':" RECORD_OF("uid-1") ",'b.test':" RECORD_OF("uid-2") "}}" template "}"

/* Made by hand, and it says where. */
#define HAND_MADE_AT_ONE "'" KEY "':{'a.test':" OF_A_SET "}"

/* At one server, at the other, and at one that nobody names. */
#define HAND_MADE_AT_THREE                                                                         \
	"'" KEY "':{'a.test':" OF_A_SET ",'b.test':{'fulldomain':"                                 \
	"'20000000-0000-4000-8000-000000000026.two.test','subdomain':'s','username':'v',"          \
	"'password':'p','server_url':'https://two.test'},'c.test':{'fulldomain':"                  \
	"'20000000-0000-4000-8000-000000000027.one.test','subdomain':'s','username':'w',"          \
	"'password':'p'}}"

const struct scenario scenarios[] = {
	{
		.name = "one-domain",
		.what = "one object, one domain, one process",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.slots = 4,
		.left = {2, 2, 2, 1, 0, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_RECREATE_OBJECT, ACT_OTHER_SPEC},
	},
	{
		.name = "two-domains",
		.what = "one object, two domains, one slot at the host",
		.specs = {SPEC("'a.test','b.test'"), SPEC("'b.test'"), "{}", "{}"},
		.slots = 1,
		.left = {1, 2, 2, 1, 0, 0, 2},
		.acts = {ACT_OTHER_SPEC, ACT_RECREATE_OBJECT},
	},
	{
		.name = "two-at-once",
		.what = "one object, two domains registered at once; writes may be denied",
		.specs = {SPEC("'a.test','b.test'"), SPEC("'a.test'"), "{}", "{}"},
		.denies = true,
		.slots = 2,
		.left = {1, 1, 2, 1, 0, 0, 2},
		.acts = {ACT_OTHER_SPEC, ACT_DELETE_OBJECT},
	},
	{
		.name = "shared",
		.what = "one object, accountPolicy Shared, a domain comes to it",
		.specs = {SHARED("'a.test','b.test'"), SHARED("'a.test','b.test','c.test'"), "{}",
			  "{}"},
		.shared = true,
		.slots = 4,
		.left = {2, 2, 2, 1, 0, 0, 2},
		.acts = {ACT_OTHER_SPEC, ACT_RECREATE_OBJECT, ACT_ADD_ENTRY},
	},
	{
		.name = "two-objects",
		.what = "two objects on one Secret fight for a domain",
		.specs = {SPEC("'a.test'"), SPEC("'b.test'"), SPEC("'a.test','b.test'"),
			  SPEC("'b.test'")},
		.both = true,
		.slots = 4,
		.left = {1, 1, 2, 1, 0, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_RECREATE_OBJECT, ACT_OTHER_SPEC, ACT_SECOND_SPEC,
			 ACT_DELETE_OTHER},
	},
	{
		.name = "owner-changes",
		.what = "two objects on one Secret, and the owner comes to list more",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), SPEC("'a.test','b.test'"),
			  "{}"},
		.both = true,
		.slots = 4,
		.left = {0, 0, 1, 1, 0, 0, 1},
		.acts = {ACT_OTHER_SPEC},
	},
	{
		.name = "template",
		.what = "two objects want a label of one Secret differently, and a person edits it",
		.specs = {TEMPLATED("a.test", "Delete", "{'labels':{'team':'a'}}"),
			  TEMPLATED("a.test", "Delete", "{'labels':{'team':'c'}}"),
			  TEMPLATED("b.test", "Retain", "{'labels':{'team':'b'}}"),
			  TEMPLATED("b.test", "Retain", "{}")},
		.secret = OPAQUE(REGISTERED_TWO("")),
		.both = true,
		.slots = 4,
		.left = {0, 1, 0, 2, 0, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_OTHER_SPEC, ACT_SECOND_SPEC, ACT_RECREATE_OBJECT,
			 ACT_LABEL, ACT_LABEL_OTHER, ACT_NO_LABEL},
	},
	{
		.name = "template-alike",
		.what = "two objects, one label alike and one annotation not, which the first has",
		.specs = {TEMPLATED("a.test", "Delete",
				    "{'labels':{'team':'b'},'annotations':{'note':'n'}}"),
			  TEMPLATED("a.test", "Delete", "{'annotations':{'note':'m'}}"),
			  TEMPLATED("b.test", "Retain",
				    "{'labels':{'team':'b'},'annotations':{'note':'m'}}"),
			  TEMPLATED("b.test", "Delete", "{'labels':{'team':'d'}}")},
		.secret = "{'type':'Opaque','metadata':{'labels':{'team':'b'},"
			  "'annotations':{'note':'n'}},'data':{" REGISTERED_TWO(
				  ",'template':{'labels':{'team':{'owner':'uid-1','value':'b'}},"
				  "'annotations':{'note':{'owner':'uid-1','value':'n'}}}") "}}",
		.both = true,
		.slots = 4,
		.left = {0, 0, 0, 2, 0, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_OTHER_SPEC, ACT_FIRST_SPEC, ACT_SECOND_SPEC,
			 ACT_DELETE_OTHER, ACT_MAKE_OTHER},
	},
	{
		.name = "two-processes",
		.what = "the lease is lost and taken over, also by one whose machine was paused",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.two = true,
		.slots = 4,
		.left = {1, 1, 2, 0, 2, 1, 2},
		.acts = {ACT_NONE},
	},
	{
		.name = "two-clocks",
		.what = "two processes, clocks that jump or stand still, an object made anew",
		.specs = {SPEC("'a.test'"), SPEC("'a.test'"), "{}", "{}"},
		.two = true,
		.slots = 4,
		.left = {0, 1, 2, 1, 1, 2, 2},
		.acts = {ACT_RECREATE_OBJECT, ACT_DELETE_OBJECT},
	},
	{
		.name = "adoption",
		.what = "a Secret made by hand, with foreign data, and an editor of it",
		.specs = {SPEC("'a.test','b.test'"), SPEC("'b.test'"), "{}", "{}"},
		.secret = OPAQUE(HAND_MADE),
		.slots = 4,
		.left = {1, 2, 2, 2, 0, 0, 2},
		.acts = {ACT_ADD_FOREIGN, ACT_REMOVE_ENTRY, ACT_OTHER_SPEC, ACT_RECREATE_OBJECT},
	},
	{
		.name = "unknown-members",
		.what = "documents of a later version, with members that are not ours to drop",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.secret = OPAQUE(UNKNOWN_MEMBERS),
		.slots = 4,
		.left = {1, 1, 2, 2, 0, 0, 2},
		.acts = {ACT_ADD_FOREIGN, ACT_OTHER_SPEC, ACT_REMOVE_ENTRY},
	},
	{
		.name = "changed-host",
		.what = "spec.host changes to another server and back, while accounts are made",
		.specs = {SPEC("'a.test','b.test'"), SPEC_AT("two", "'a.test','b.test'"), "{}",
			  "{}"},
		.slots = 1,
		.left = {1, 1, 2, 2, 0, 0, 2},
		.acts = {ACT_OTHER_SPEC, ACT_FIRST_SPEC, ACT_ROTATE},
	},
	{
		.name = "rotation",
		.what = "an account is rotated, once more, or not after all",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {1, 1, 1, 2, 0, 0, 2},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_OTHER_SPEC, ACT_REMOVE_ENTRY},
	},
	{
		.name = "rotation-moves",
		.what = "accounts move to another server and back, by two processes",
		.specs = {SPEC("'a.test'"), SPEC_AT("two", "'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.two = true,
		.slots = 4,
		.left = {0, 1, 1, 3, 1, 0, 3},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_OTHER_SPEC, ACT_FIRST_SPEC},
	},
	{
		.name = "rotation-by-dns",
		.what = "an account takes its place when the CNAME leads to it, or not after all",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.verifies = true,
		.slots = 4,
		.left = {1, 1, 1, 4, 0, 0, 4},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_LEAD, ACT_LEAD_BACK, ACT_OTHER_SPEC,
			 ACT_REMOVE_ENTRY},
	},
	{
		.name = "rotation-by-dns-moves",
		.what = "the same to another server and back, by two processes",
		.specs = {SPEC("'a.test'"), SPEC_AT("two", "'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.verifies = true,
		.two = true,
		.slots = 4,
		.left = {0, 1, 1, 4, 1, 0, 4},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_OTHER_SPEC, ACT_FIRST_SPEC, ACT_LEAD,
			 ACT_LEAD_BACK},
	},
	{
		.name = "shared-rotation-by-dns",
		.what = "a set is rotated, one CNAME after the other, while a domain comes to it",
		.specs = {SHARED("'a.test','b.test'"), SHARED("'a.test','b.test','c.test'"), "{}",
			  "{}"},
		.secret = OPAQUE(REGISTERED_SET),
		.verifies = true,
		.shared = true,
		.slots = 4,
		.left = {0, 1, 1, 4, 0, 0, 4},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_OTHER_SPEC, ACT_FIRST_SPEC, ACT_LEAD},
	},
	{
		.name = "rotation-by-dns-of-two",
		.what = "two accounts are rotated, one CNAME after the other",
		.specs = {SPEC("'a.test','b.test'"), SPEC("'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED_PAIR),
		.verifies = true,
		.slots = 4,
		.left = {0, 0, 0, 3, 0, 0, 3},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_LEAD},
	},
	{
		.name = "rotation-by-dns-locked",
		.what = "the Secret cannot be written when the CNAME leads to the new account",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.verifies = true,
		.denies = true,
		.slots = 4,
		.left = {1, 1, 0, 4, 0, 0, 5},
		.acts = {ACT_ROTATE, ACT_LEAD, ACT_LOCK, ACT_UNLOCK, ACT_SPOIL, ACT_MEND},
	},
	{
		.name = "deletion",
		.what = "an object under deletionPolicy Delete loses a domain, and goes",
		.specs = {DELETING("'a.test','b.test'"), DELETING("'b.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {0, 1, 2, 2, 0, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_OTHER_SPEC},
	},
	{
		.name = "deletion-of-two",
		.what = "two objects under Delete, one of an adopted account, and two processes",
		.specs = {DELETING("'a.test'"), SPEC("'a.test'"), DELETING("'b.test'"), "{}"},
		.secret = OPAQUE(HAND_MADE),
		.both = true,
		.two = true,
		.slots = 4,
		.left = {1, 1, 1, 2, 1, 0, 2},
		.acts = {ACT_DELETE_OBJECT, ACT_DELETE_OTHER, ACT_OTHER_SPEC},
	},
	{
		.name = "editor",
		.what = "somebody else writes the Secret all the time",
		.specs = {SPEC("'a.test'"), SPEC("'a.test'"), "{}", "{}"},
		.slots = 4,
		.left = {1, 1, 2, 3, 0, 0, 2},
		.acts = {ACT_ADD_FOREIGN, ACT_PUT_BACK, ACT_REMOVE_ENTRY, ACT_DELETE_SECRET,
			 ACT_LOCK, ACT_UNLOCK},
	},
	{
		.name = "restore",
		.what = "backups are restored: objects without status, the Secret of yesterday",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), SPEC("'b.test'"), "{}"},
		.slots = 4,
		.left = {1, 1, 2, 2, 0, 0, 2},
		.acts = {ACT_RESTORE, ACT_OTHER_SPEC, ACT_MAKE_OTHER, ACT_DELETE_OBJECT},
	},
	{
		.name = "restore-rotated",
		.what = "backups are restored around a rotation, new ones and an old one",
		.specs = {SPEC("'a.test'"), SPEC_AT("two", "'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {0, 1, 2, 3, 0, 0, 3},
		.acts = {ACT_ROTATE, ACT_RESTORE, ACT_RESTORE_FIRST, ACT_OTHER_SPEC},
	},
	{
		.name = "same-server",
		.what = "spec.host changes, and the Secret says that it is the same server, or not",
		.specs = {SPEC("'a.test'"), SPEC_AT("two", "'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {1, 1, 1, 3, 0, 0, 3},
		.acts = {ACT_OTHER_SPEC, ACT_FIRST_SPEC, ACT_SAME_SERVER, ACT_OTHER_SERVER,
			 ACT_ROTATE},
	},
	{
		.name = "same-server-adopted",
		.what = "the same of an account made by hand",
		.specs = {SPEC_AT("two", "'a.test'"), SPEC("'a.test'"), "{}", "{}"},
		.secret = OPAQUE(HAND_MADE_AT_ONE),
		.slots = 4,
		.left = {1, 1, 1, 2, 0, 0, 2},
		.acts = {ACT_OTHER_SPEC, ACT_SAME_SERVER, ACT_OTHER_SERVER, ACT_ROTATE},
	},
	{
		.name = "suspension",
		.what = "an object is suspended, edited, deleted and let go on at any time",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.slots = 4,
		.left = {1, 1, 1, 3, 0, 0, 3},
		.acts = {ACT_SUSPEND, ACT_RESUME, ACT_OTHER_SPEC, ACT_DELETE_OBJECT},
	},
	{
		.name = "references",
		.what = "a login and a CA are there, are not there, or are for another host",
		.specs = {REFERRING("'a.test'"), REFERRING("'a.test','b.test'"), "{}", "{}"},
		.denies = true,
		.slots = 4,
		.left = {0, 1, 2, 3, 0, 0, 4},
		.acts = {ACT_LOGIN, ACT_LOGIN_ELSEWHERE, ACT_NO_LOGIN, ACT_CA, ACT_NO_CA,
			 ACT_OTHER_SPEC},
	},
	{
		.name = "shared-rotation",
		.what = "a set is rotated while domains come to it and go",
		.specs = {SHARED("'a.test','b.test'"), SHARED("'a.test','b.test','c.test'"), "{}",
			  "{}"},
		.secret = OPAQUE(REGISTERED_SET),
		.shared = true,
		.slots = 4,
		.left = {1, 1, 1, 3, 0, 0, 3},
		.acts = {ACT_ROTATE, ACT_CALL_OFF, ACT_OTHER_SPEC, ACT_FIRST_SPEC},
	},
	{
		.name = "spoiled",
		.what = "the Secret cannot be read or written for a while",
		.specs = {SPEC("'a.test'"), SPEC("'a.test','b.test'"), "{}", "{}"},
		.slots = 4,
		.left = {1, 1, 2, 3, 0, 0, 3},
		.acts = {ACT_SPOIL, ACT_MEND, ACT_LOCK, ACT_UNLOCK, ACT_OTHER_SPEC},
	},
	{
		.name = "contested",
		.what = "an account vanishes again and again within a day",
		.specs = {SPEC("'a.test'"), SPEC("'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {0, 0, 4, 2, 0, 0, 2},
		.acts = {ACT_REMOVE_ENTRY},
	},
	{
		.name = "lost-for-a-day",
		.what = "an account vanishes, and is made again a day later, or rotated",
		.specs = {SPEC("'a.test'"), SPEC("'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.slots = 4,
		.left = {0, 0, 2, 3, 0, 0, 3},
		.acts = {ACT_REMOVE_ENTRY, ACT_DAY, ACT_ROTATE},
	},
	{
		.name = "probe",
		.what = "an account is asked for while it is rotated and moved",
		.specs = {SPEC("'a.test'"), SPEC_AT("two", "'a.test'"), "{}", "{}"},
		.secret = OPAQUE(REGISTERED),
		.probes = true,
		.slots = 2,
		.left = {1, 1, 1, 2, 0, 0, 2},
		.acts = {ACT_PROBE, ACT_ROTATE, ACT_OTHER_SPEC},
	},
	{
		.name = "probe-hosts",
		.what = "accounts at two servers, and at one that the Secret may name, and one "
			"slot",
		.specs = {SPEC("'a.test','b.test','c.test'"),
			  SPEC_AT("two", "'a.test','b.test','c.test'"), "{}", "{}"},
		.secret = OPAQUE(HAND_MADE_AT_THREE),
		.probes = true,
		.slots = 1,
		.left = {0, 1, 1, 2, 0, 0, 2},
		.acts = {ACT_PROBE, ACT_OTHER_SPEC, ACT_HOST_ONE},
	},
};

const size_t scenarios_len = ARRAY_LEN(scenarios);
