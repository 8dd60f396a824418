/*
 * sql_settings.c
 *	  Findings on the settings, for the view pgraft.settings_check.
 *
 * Two halves: what follows from the settings alone is judged here, and holds
 * whether or not the worker runs; what needs measurements comes from the core
 * (src/PgRaft.Server/Requests/Findings.cs).  What changes nothing yet, and what
 * PostgreSQL knows itself (settings that wait for a restart), is the view's.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: a worker that does not answer is a finding.  One that stops while it
 * is asked is an error, as everywhere.
 */
#include "pgraft.h"

#include <limits.h>

#include "utils/builtins.h"

#define FINDING_COLUMNS 5

/* As warned of at start (guc_check.c). */
#define GOOD_HEARTBEATS_PER_TIMEOUT 10

#define DEFAULT_BATCH_DELAY "10"

PG_FUNCTION_INFO_V1(pgraft_get_findings);

typedef struct Finding
{
	const char *subject;
	const char *value;			/* NULL: that of the setting */
	const char *severity;
	const char *text;
	const char *advice;
} Finding;

static void
add(ReturnSetInfo *rsinfo, Finding finding)
{
	const char *texts[FINDING_COLUMNS] = {
		finding.subject, finding.value, finding.severity, finding.text, finding.advice
	};
	Datum		values[FINDING_COLUMNS];
	bool		nulls[FINDING_COLUMNS];

	for (int i = 0; i < FINDING_COLUMNS; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
check_heartbeats(ReturnSetInfo *rsinfo)
{
	if (pgraft_election_timeout_ms >= GOOD_HEARTBEATS_PER_TIMEOUT * pgraft_heartbeat_interval_ms)
		return;
	add(rsinfo, (Finding) {
		.subject = "pgraft.election_timeout",
		.severity = "warning",
		.text = psprintf("less than %d times \"pgraft.heartbeat_interval\" (%d ms): a few lost heartbeats are enough for an election",
						 GOOD_HEARTBEATS_PER_TIMEOUT, pgraft_heartbeat_interval_ms),
		.advice = psprintf("Set it to %d ms or more on all members.",
						   GOOD_HEARTBEATS_PER_TIMEOUT * pgraft_heartbeat_interval_ms)
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
check_tls(ReturnSetInfo *rsinfo)
{
	bool		local = is_loopback(pgraft_address) &&
		(pgraft_listen_address[0] == '\0' || is_loopback(pgraft_listen_address));

	if (local || strcmp(GetConfigOption("pgraft.tls_enabled", false, false), "on") == 0)
		return;
	add(rsinfo, (Finding) {
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
check_data_dir(ReturnSetInfo *rsinfo)
{
	char	   *inside = real_path(pgraft_data_dir_path());
	char	   *outside = real_path(DataDir);

	if (!path_is_prefix_of_path(outside, inside))
		return;
	add(rsinfo, (Finding) {
		.subject = "pgraft.data_dir",
		.severity = "notice",
		.text = "inside the data directory: every copy of that, such as a base backup, copies the member's vote and log",
		.advice = "Set an absolute path outside, best on a disk of its own, and never restore an older copy of it."
	});
}

static void
check_without_effect(ReturnSetInfo *rsinfo)
{
	if (strcmp(GetConfigOption("pgraft.max_batch_delay", false, false), DEFAULT_BATCH_DELAY) != 0)
		add(rsinfo, (Finding) {
			.subject = "pgraft.max_batch_delay",
			.severity = "notice",
			.text = "without effect in this version: it never waits to fill a batch",
			.advice = "Leave it at its default."
		});
}

static void
add_measured(ReturnSetInfo *rsinfo)
{
	PgraftWorkerState worker = pgraft_worker_state(NULL);
	PgraftRequest request;
	PgraftResponse response;

	if (!pgraft_worker_answers(worker))
	{
		add(rsinfo, (Finding) {
			.subject = "worker",
			.value = pgraft_state_name(worker),
			.severity = "critical",
			.text = "the cluster worker does not answer, so that nothing can be measured",
			.advice = "See the server log for the reason."
		});
		return;
	}
	pgraft_request_init(&request, PGRAFT_REQ_FINDINGS, false, "check the settings");
	pgraft_call(&request, FINDING_COLUMNS, &response);
	pgraft_store_rows(&response, rsinfo);
}

Datum
pgraft_get_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	(void) pgraft_shared();
	InitMaterializedSRF(fcinfo, 0);
	if (rsinfo->setDesc->natts != FINDING_COLUMNS)
		elog(ERROR, "pgraft: the function's declaration does not fit its library");
	check_heartbeats(rsinfo);
	check_tls(rsinfo);
	check_data_dir(rsinfo);
	check_without_effect(rsinfo);
	add_measured(rsinfo);
	return (Datum) 0;
}
