/*
 * initial_cluster.c
 *	  The syntax of pgraft.initial_cluster: "1=host:port,2=[v6]:port,...".
 *
 * Why it is hard: the founding members must all start with the same list, and a
 * typo in one of them would found two clusters.  So everything that can be told
 * from the text alone is checked here, before the server starts.
 *
 * Threading: the main thread of any process.
 *
 * On failure: the check hook returns false with a detail that quotes the entry;
 * pgraft_check_own_entry() raises an error.
 */
#include "pgraft.h"

#define MAX_FOUNDING_MEMBERS 64

static const char syntax_hint[] =
"Use a list such as \"1=10.0.1.11:7001,2=10.0.1.12:7001,3=[2001:db8::3]:7001\".";

/* Points into the text that was parsed; no terminators. */
typedef struct Member
{
	int			node_id;		/* 1..65535 */
	int			port;			/* 1..65535 */
	const char *host;
	size_t		host_bytes;
} Member;

/* Reads 1..65535 in decimal from [text, end) or returns 0. */
static int
parse_u16(const char *text, const char *end)
{
	int			value = 0;

	if (text == end || end - text > 5)
		return 0;
	for (; text < end; text++)
	{
		if (*text < '0' || *text > '9')
			return 0;
		value = value * 10 + (*text - '0');
	}
	return value <= 65535 ? value : 0;
}

/* Splits [text, end) into host and port; returns NULL or what is wrong. */
static const char *
parse_endpoint(const char *text, const char *end, Member *member)
{
	const char *host_end;
	const char *colon = end;

	while (colon > text && colon[-1] != ':')
		colon--;
	if (colon == text)
		return "has no port";
	member->port = parse_u16(colon, end);
	if (member->port == 0)
		return "has a port that is not a number from 1 to 65535";
	host_end = colon - 1;
	if (host_end - text >= 2 && text[0] == '[' && host_end[-1] == ']')
	{
		text++;
		host_end--;
	}
	else if (memchr(text, ':', host_end - text) != NULL)
		return "has an IPv6 address that is not in brackets";
	member->host = text;
	member->host_bytes = host_end - text;
	return pgraft_is_host(text, member->host_bytes) ? NULL : "has no valid host name or address";
}

/* Parses one "id=host:port"; returns NULL or what is wrong with it. */
static const char *
parse_member(const char *text, const char *end, Member *member)
{
	const char *equals = memchr(text, '=', end - text);

	if (equals == NULL)
		return "is not of the form id=host:port";
	member->node_id = parse_u16(text, equals);
	if (member->node_id == 0)
		return "has an id that is not a number from 1 to 65535";
	return parse_endpoint(equals + 1, end, member);
}

static bool
same_endpoint(const Member *a, const Member *b)
{
	return a->port == b->port && a->host_bytes == b->host_bytes &&
		pg_strncasecmp(a->host, b->host, a->host_bytes) == 0;
}

static const char *
find_conflict(const Member *members, int count)
{
	const Member *last = &members[count - 1];

	for (int i = 0; i < count - 1; i++)
	{
		if (members[i].node_id == last->node_id)
			return "repeats the id of an earlier entry";
		if (same_endpoint(&members[i], last))
			return "repeats the address and port of an earlier entry";
	}
	return NULL;
}

/*
 * Parses the list into members[MAX_FOUNDING_MEMBERS].  Returns their number, or
 * -1 with *problem and the entry it is about.
 */
static int
parse_list(const char *list, Member *members, const char **problem, const char **entry,
		   int *entry_bytes)
{
	int			count = 0;
	const char *text = list;

	for (;;)
	{
		const char *end = text + strcspn(text, ",");

		*entry = text;
		*entry_bytes = (int) (end - text);
		if (count == MAX_FOUNDING_MEMBERS)
		{
			*problem = "is one too many";
			return -1;
		}
		*problem = parse_member(text, end, &members[count++]);
		if (*problem == NULL)
			*problem = find_conflict(members, count);
		if (*problem != NULL)
			return -1;
		if (*end == '\0')
			return count;
		text = end + 1;
	}
}

bool
pgraft_check_initial_cluster(char **newval, void **extra, GucSource source)
{
	Member		members[MAX_FOUNDING_MEMBERS];
	const char *problem;
	const char *entry;
	int			entry_bytes;

	if ((*newval)[0] == '\0' ||
		parse_list(*newval, members, &problem, &entry, &entry_bytes) > 0)
		return true;
	GUC_check_errdetail("Entry \"%.*s\" %s.", entry_bytes, entry, problem);
	GUC_check_errhint("%s", syntax_hint);
	return false;
}

static void
check_own_endpoint(const Member *own)
{
	Member		settings = {pgraft_node_id, pgraft_port, pgraft_address, strlen(pgraft_address)};

	if (!same_endpoint(own, &settings))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgraft: \"pgraft.initial_cluster\" contradicts \"pgraft.address\" and \"pgraft.port\""),
				 errdetail("It lists node %d at \"%.*s\" port %d, but this node is at \"%s\" port %d.",
						   own->node_id, (int) own->host_bytes, own->host, own->port,
						   pgraft_address, pgraft_port),
				 errhint("Make them equal; the list must be the same on all founding members.")));
}

/*
 * Raises an error unless the list, when there is one, names this node at the
 * address that this node has.
 */
void
pgraft_check_own_entry(void)
{
	Member		members[MAX_FOUNDING_MEMBERS];
	const char *problem;
	const char *entry;
	int			entry_bytes;
	int			count;

	if (pgraft_initial_cluster[0] == '\0')
		return;
	count = parse_list(pgraft_initial_cluster, members, &problem, &entry, &entry_bytes);
	for (int i = 0; i < count; i++)
	{
		if (members[i].node_id == pgraft_node_id)
		{
			check_own_endpoint(&members[i]);
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("pgraft: \"pgraft.initial_cluster\" does not contain this node"),
			 errdetail("\"pgraft.node_id\" is %d and the list is \"%s\".",
					   pgraft_node_id, pgraft_initial_cluster),
			 errhint("Add this node to the list, or leave the list empty if the node joins an existing cluster.")));
}
