/*
 * guc_check.c
 *	  Check hooks of single settings, and the checks across settings.
 *
 * Why it is hard: a check hook sees one new value and must not look at other
 * settings, whose order of arrival is not known; what binds two settings is
 * therefore checked once all are defined.
 *
 * Threading: the main thread of any process.
 *
 * On failure: hooks return false with a detail and a hint, and PostgreSQL names
 * the setting and the value.  pgraft_check_settings() raises an error, which
 * ends the server's start.
 */
#include "pgraft.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLUSTER_ID_BYTES 64
#define MAX_HOST_BYTES 253

/* Fewer and an election timeout is refused; see PGRAFT_GOOD_HEARTBEATS too. */
#define MIN_HEARTBEATS_PER_TIMEOUT 3

static const char cluster_id_characters[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

bool
pgraft_check_cluster_id(char **newval, void **extra, GucSource source)
{
	size_t		length = strlen(*newval);

	if (length >= 1 && length <= MAX_CLUSTER_ID_BYTES &&
		strspn(*newval, cluster_id_characters) == length)
		return true;
	GUC_check_errdetail("A cluster id has 1 to %d characters, each a letter, a digit or one of _ . - .",
						MAX_CLUSTER_ID_BYTES);
	GUC_check_errhint("Give all members of the cluster the same \"pgraft.cluster_id\".");
	return false;
}

static bool
is_host_name(const char *host, size_t length)
{
	bool		has_letter = false;

	if (host[0] == '-' || host[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char		c = host[i];
		bool		is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_')
			return false;
		has_letter = has_letter || !((c >= '0' && c <= '9') || c == '.');
	}
	/* Digits and dots alone are an IPv4 address or nothing. */
	return has_letter;
}

/*
 * Whether it is an IP address that names one machine; an IPv6 address may have a
 * zone.
 */
static bool
is_ip_address(const char *host, size_t length)
{
	char		text[MAX_HOST_BYTES + 1];
	struct in_addr v4;
	struct in6_addr v6;

	strlcpy(text, host, length + 1);
	if (inet_pton(AF_INET, text, &v4) == 1)
		return v4.s_addr != htonl(INADDR_ANY);
	text[strcspn(text, "%")] = '\0';
	return inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6);
}

/*
 * Whether peers can dial it: a host name, an IPv4 or a bare IPv6 address, no
 * wildcard.  No name is looked up: a peer that is not known yet is not a wrong
 * setting.  The core has the same rule (MemberSyntax.cs).
 */
bool
pgraft_is_host(const char *host, size_t length)
{
	return length > 0 && length <= MAX_HOST_BYTES &&
		(is_host_name(host, length) || is_ip_address(host, length));
}

static bool
is_wildcard(const char *host)
{
	return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool
pgraft_check_address(char **newval, void **extra, GucSource source)
{
	if (pgraft_is_host(*newval, strlen(*newval)))
		return true;
	GUC_check_errdetail("It must be a host name or an IP address of one machine, without a port, spaces or brackets.");
	GUC_check_errhint("Use an address such as \"10.0.1.11\" or \"node1.example.com\".");
	return false;
}

/* An address to bind. */
bool
pgraft_check_bind_address(char **newval, void **extra, GucSource source)
{
	return is_wildcard(*newval) || pgraft_check_address(newval, extra, source);
}

/* As above; empty stands for pgraft.address. */
bool
pgraft_check_listen_address(char **newval, void **extra, GucSource source)
{
	return (*newval)[0] == '\0' || pgraft_check_bind_address(newval, extra, source);
}

bool
pgraft_check_data_dir(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] == '\0')
	{
		GUC_check_errdetail("The name of the directory is empty.");
		GUC_check_errhint("Use \"pgraft\" for a directory inside the data directory, or an absolute path.");
		return false;
	}
	if (strlen(*newval) >= MAXPGPATH)
	{
		GUC_check_errdetail("The path is longer than %d bytes.", MAXPGPATH - 1);
		return false;
	}
	return true;
}

/*
 * Whether a file can be used, if one is named.  A private one is for its owner
 * alone.
 */
static bool
is_usable_file(const char *path, bool is_private)
{
	struct stat st;

	if (path[0] == '\0')
		return true;
	if (stat(path, &st) != 0 || access(path, R_OK) != 0)
	{
		GUC_check_errdetail("The file cannot be read: %m.");
		return false;
	}
	if (!S_ISREG(st.st_mode))
	{
		GUC_check_errdetail("It is not a regular file.");
		return false;
	}
	if (is_private && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
	{
		GUC_check_errdetail("Others than its owner have access to the file.");
		GUC_check_errhint("Run \"chmod 600\" on it.");
		return false;
	}
	return true;
}

bool
pgraft_check_private_file(char **newval, void **extra, GucSource source)
{
	return is_usable_file(*newval, true);
}

bool
pgraft_check_public_file(char **newval, void **extra, GucSource source)
{
	return is_usable_file(*newval, false);
}

/*
 * Without these features a cluster would be open although its operator asked
 * for a lock: refusing is the only safe answer.
 */
static bool
refuse_unsupported(bool wanted, const char *what)
{
	if (!wanted)
		return true;
	GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	GUC_check_errdetail("%s is not supported by pgraft %s.", what, PGRAFT_VERSION);
	GUC_check_errhint("Turn it off, and keep the port to a private network or a firewall.");
	return false;
}

bool
pgraft_check_auth_enabled(bool *newval, void **extra, GucSource source)
{
	return refuse_unsupported(*newval, "Authentication of peers");
}

bool
pgraft_check_tls_enabled(bool *newval, void **extra, GucSource source)
{
	return refuse_unsupported(*newval, "TLS between peers");
}

/*
 * Absolute path of pgraft.data_dir, in the current memory context.
 */
char *
pgraft_data_dir_path(void)
{
	char	   *path;

	if (is_absolute_path(pgraft_data_dir))
		path = pstrdup(pgraft_data_dir);
	else
		path = psprintf("%s/%s", DataDir, pgraft_data_dir);
	canonicalize_path(path);
	return path;
}

char *
pgraft_socket_path(void)
{
	char	   *dir = pgraft_data_dir_path();
	char	   *path = psprintf("%s/%s", dir, PGRAFT_SOCKET_NAME);

	pfree(dir);
	return path;
}

static void
check_socket_path(void)
{
	char	   *path = pgraft_socket_path();
	size_t		limit = sizeof(((struct sockaddr_un *) 0)->sun_path) - 1;

	if (strlen(path) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgraft: the path given by \"pgraft.data_dir\" is too long"),
				 errdetail("The socket \"%s\" would have a path of %zu bytes; the system allows %zu.",
						   path, strlen(path), limit),
				 errhint("Set \"pgraft.data_dir\" to a shorter absolute path.")));
	pfree(path);
}

static void
check_timeouts(void)
{
	int			election = pgraft_election_timeout_ms;
	int			heartbeat = pgraft_heartbeat_interval_ms;

	if (election < MIN_HEARTBEATS_PER_TIMEOUT * heartbeat)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgraft: \"pgraft.election_timeout\" (%d ms) must be at least %d times \"pgraft.heartbeat_interval\" (%d ms)",
						election, MIN_HEARTBEATS_PER_TIMEOUT, heartbeat),
				 errdetail("Followers would start elections although the leader is well."),
				 errhint("Set \"pgraft.election_timeout\" to %d ms or more.",
						 PGRAFT_GOOD_HEARTBEATS * heartbeat)));
	if (election < PGRAFT_GOOD_HEARTBEATS * heartbeat)
		ereport(WARNING,
				(errmsg("pgraft: \"pgraft.election_timeout\" (%d ms) is less than %d times \"pgraft.heartbeat_interval\" (%d ms)",
						election, PGRAFT_GOOD_HEARTBEATS, heartbeat),
				 errdetail("A few lost heartbeats are enough for an election."),
				 errhint("Set \"pgraft.election_timeout\" to %d ms or more.",
						 PGRAFT_GOOD_HEARTBEATS * heartbeat)));
}

void
pgraft_check_settings(void)
{
	check_timeouts();
	check_socket_path();
	pgraft_check_own_entry();
}
