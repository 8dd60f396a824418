/*
 * guc_findings.c
 *	  What is to be said of the settings, from what PostgreSQL knows alone.
 *
 * Why here and not in the core: it must be known also while no worker runs, and
 * only PostgreSQL knows which settings wait for a restart.  And nothing is judged
 * in two places: the worker gives this list to the core at start and at each
 * reload, and the core's list, which is this one and what it has measured
 * (src/PgRaft.Server/Requests/FindingReport.cs), is what both the status page and
 * pgraft.settings_check show.  A backend comes here itself only when the worker
 * does not answer (sql_settings.c).
 *
 * Threading: the main thread of any process.  Each has read the configuration
 * for itself, a moment before or after the others.
 *
 * On failure: only out of memory.
 */
#include "pgraft.h"

#include <limits.h>

/* In the memory context of who asks. */
typedef struct FindingList
{
	PgraftFinding *rows;
	int32		count;
} FindingList;

static void
add(FindingList *list, PgraftFinding finding)
{
	Size		size = sizeof(PgraftFinding) * (list->count + 1);

	list->rows = list->rows == NULL ? palloc(size) : repalloc(list->rows, size);
	list->rows[list->count++] = finding;
}

static void
check_heartbeats(FindingList *list)
{
	if (pgraft_election_timeout_ms >= PGRAFT_GOOD_HEARTBEATS * pgraft_heartbeat_interval_ms)
		return;
	add(list, (PgraftFinding) {
		.subject = "pgraft.election_timeout",
		.severity = "warning",
		.text = psprintf("less than %d times \"pgraft.heartbeat_interval\" (%d ms): a few lost heartbeats are enough for an election",
						 PGRAFT_GOOD_HEARTBEATS, pgraft_heartbeat_interval_ms),
		.advice = psprintf("Set it to %d ms or more on all members.",
						   PGRAFT_GOOD_HEARTBEATS * pgraft_heartbeat_interval_ms)
	});
}

/* A name other than localhost is for others to reach. */
static bool
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
		pg_strcasecmp(host, "localhost") == 0;
}

static void
check_tls(FindingList *list)
{
	bool		local = is_loopback(pgraft_address) &&
		(pgraft_listen_address[0] == '\0' || is_loopback(pgraft_listen_address));

	if (local || strcmp(GetConfigOption("pgraft.tls_enabled", false, false), "on") == 0)
		return;
	add(list, (PgraftFinding) {
		.subject = "pgraft.tls_enabled",
		.severity = "warning",
		.text = "members speak to one another over a network without encryption",
		.advice = "Keep \"pgraft.port\" to a private network or a VPN, and let nobody but members reach it."
	});
}

/* With links resolved where that can be done. */
static char *
real_path(const char *path)
{
	char		resolved[PATH_MAX];

	return pstrdup(realpath(path, resolved) != NULL ? resolved : path);
}

static void
check_data_dir(FindingList *list)
{
	char	   *inside = real_path(pgraft_data_dir_path());
	char	   *outside = real_path(DataDir);

	if (!path_is_prefix_of_path(outside, inside))
		return;
	add(list, (PgraftFinding) {
		.subject = "pgraft.data_dir",
		.severity = "notice",
		.text = "inside the data directory: every copy of that, such as a base backup, copies the member's vote and log",
		.advice = "Set an absolute path outside, best on a disk of its own, and never restore an older copy of it."
	});
}

/* Those whose value in the configuration file is not the one in use. */
static void
check_pending_restart(FindingList *list)
{
	int			count;
	struct config_generic **settings = pgraft_all_settings(&count);

	for (int i = 0; i < count; i++)
	{
		if (strncmp(settings[i]->name, "pgraft.", strlen("pgraft.")) != 0 ||
			(settings[i]->status & GUC_PENDING_RESTART) == 0)
			continue;
		add(list, (PgraftFinding) {
			.subject = settings[i]->name,
			.severity = "warning",
			.text = "waits for a restart: the configuration has another value",
			.advice = "Restart the server; one member at a time, the leader last."
		});
	}
}

/*
 * The findings, in the current memory context; *count of them.
 */
PgraftFinding *
pgraft_judge_settings(int32 *count)
{
	FindingList list = {0};

	check_heartbeats(&list);
	check_tls(&list);
	check_data_dir(&list);
	check_pending_restart(&list);
	*count = list.count;
	return list.rows;
}
