/*
 * host.c
 *	  Hosts the core library the way the background worker does, without
 *	  PostgreSQL, and reports what it sees.
 *
 * A test compiles and runs it: what the exports answer, whether the library
 * took a signal handler, and whether its threads keep PostgreSQL's signals
 * blocked can only be seen from outside of .NET.
 *
 *	  host LIBRARY DATA_DIR PORT
 *
 * Threading: the main thread calls every export, as the contract says.
 *
 * On failure: prints "FAIL what" for each thing that is not as it should be and
 * exits with 1; waits are bounded.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pgraft_abi.h"

#define STEP_MS 20
#define LIMIT_STEPS 1000

static const int watched_signals[] = {
	SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE, SIGURG
};

#define WATCHED_SIGNALS ((int) (sizeof(watched_signals) / sizeof(watched_signals[0])))

static struct sigaction handlers_before[WATCHED_SIGNALS];
static PgraftStatus status;
static int	wake_fd;
static int	failures = 0;
static pgraft_core_handshake_fn handshake;
static pgraft_core_start_fn start;
static pgraft_core_reload_fn reload;
static pgraft_core_request_stop_fn request_stop;
static pgraft_core_next_log_fn next_log;

static void
check(int good, const char *what)
{
	if (!good)
	{
		printf("FAIL %s\n", what);
		failures++;
	}
}

/* SIGPIPE is ignored by PostgreSQL already; the runtime does the same. */
static void
note_handlers(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < WATCHED_SIGNALS; i++)
		sigaction(watched_signals[i], NULL, &handlers_before[i]);
}

static void
check_handlers(void)
{
	for (int i = 0; i < WATCHED_SIGNALS; i++)
	{
		struct sigaction now;

		sigaction(watched_signals[i], NULL, &now);
		check(now.sa_handler == handlers_before[i].sa_handler &&
			  now.sa_flags == handlers_before[i].sa_flags, strsignal(watched_signals[i]));
	}
}

/* The blocked signals of one thread, from its status file. */
static unsigned long long
blocked_signals(const char *task)
{
	char		path[300];
	char		line[256];
	unsigned long long mask = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	file = fopen(path, "r");
	if (file == NULL)
		return ~0ULL;
	while (fgets(line, sizeof(line), file) != NULL)
		(void) sscanf(line, "SigBlk: %llx", &mask);
	fclose(file);
	return mask;
}

static void
check_threads(void)
{
	DIR		   *tasks = opendir("/proc/self/task");
	struct dirent *task;
	int			threads = 0;

	while ((task = readdir(tasks)) != NULL)
	{
		unsigned long long mask;

		if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
			continue;
		threads++;
		mask = blocked_signals(task->d_name);
		for (int i = 0; i < WATCHED_SIGNALS; i++)
			check(mask >> (watched_signals[i] - 1) & 1, "a thread has a signal open");
	}
	closedir(tasks);
	check(threads > 0, "the library has no threads");
	printf("threads %d\n", threads);
}

static int
load(const char *path)
{
	void	   *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
	{
		printf("FAIL %s\n", dlerror());
		return 0;
	}
	handshake = (pgraft_core_handshake_fn) dlsym(library, PGRAFT_CORE_HANDSHAKE);
	start = (pgraft_core_start_fn) dlsym(library, PGRAFT_CORE_START);
	reload = (pgraft_core_reload_fn) dlsym(library, PGRAFT_CORE_RELOAD);
	request_stop = (pgraft_core_request_stop_fn) dlsym(library, PGRAFT_CORE_REQUEST_STOP);
	next_log = (pgraft_core_next_log_fn) dlsym(library, PGRAFT_CORE_NEXT_LOG);
	return handshake && start && reload && request_stop && next_log;
}

static PgraftConfig
config_for(const char *data_dir, int port)
{
	PgraftConfig config = {
		.abi_version = PGRAFT_ABI_VERSION, .struct_bytes = sizeof(PgraftConfig),
		.epoch = 77, .wake_fd = wake_fd, .node_id = 1, .port = port,
		.election_timeout_ms = 300, .heartbeat_interval_ms = 30,
		.snapshot_interval_entries = 10000, .max_log_entries = 1000,
		.batch_size_entries = 100, .max_batch_delay_ms = 10,
		.compaction_threshold_revisions = 10000, .max_value_size_bytes = 1536 * 1024,
		.cluster_id = "abi", .address = "127.0.0.1", .listen_address = "127.0.0.1",
		.data_dir = data_dir, .initial_cluster = "", .version = "1.0",
		.metrics_enabled = 1, .metrics_port = port + 1, .metrics_address = "127.0.0.1"
	};

	return config;
}

static void
check_before_start(PgraftConfig config)
{
	PgraftHandshake built;
	PgraftLogRecord record;

	check(handshake(NULL) == PGRAFT_BAD_ARGUMENT, "handshake without memory");
	check(handshake(&built) == PGRAFT_OK && built.abi_version == PGRAFT_ABI_VERSION &&
		  built.config_bytes == sizeof(PgraftConfig) &&
		  built.status_bytes == sizeof(PgraftStatus) &&
		  built.log_record_bytes == sizeof(PgraftLogRecord), "handshake");
	check(start(NULL, &status) == PGRAFT_BAD_ARGUMENT, "start without settings");
	check(reload(&config) == PGRAFT_WRONG_STATE, "reload before start");
	check(request_stop() == PGRAFT_WRONG_STATE, "stop before start");
	check(next_log(&record) == PGRAFT_EMPTY, "log before start");
	config.struct_bytes--;
	check(start(&config, &status) == PGRAFT_ABI_MISMATCH, "start with another ABI");
}

static void
drain_log(void)
{
	PgraftLogRecord record;

	while (next_log(&record) == PGRAFT_OK)
		printf("log %d %d %s %s\n", record.level, record.event_id, record.category, record.text);
}

static void
wait_for_state(int32_t state)
{
	struct pollfd wake = {.fd = wake_fd, .events = POLLIN};

	for (int i = 0; i < LIMIT_STEPS && status.state != state; i++)
	{
		uint64_t	count;

		if (poll(&wake, 1, STEP_MS) > 0 && read(wake_fd, &count, sizeof(count)) < 0)
			break;
		drain_log();
		__sync_synchronize();
	}
	printf("state %d error %s\n", status.state, status.error);
	check(status.state == state, "the state was not reached");
}

static void
run(const char *data_dir, int port)
{
	PgraftConfig config = config_for(data_dir, port);

	check_before_start(config);
	config.election_timeout_ms = 10;
	if (getenv("PGRAFT_BAD_SETTING") != NULL)
	{
		check(start(&config, &status) == PGRAFT_BAD_ARGUMENT, "start with a bad setting");
		wait_for_state(PGRAFT_WORKER_ERROR);
		check(strstr(status.error, "election_timeout") != NULL, "the setting is not named");
		return;
	}
	config.election_timeout_ms = 300;
	check(start(&config, &status) == PGRAFT_OK, "start");
	check(start(&config, &status) == PGRAFT_WRONG_STATE, "second start");
	wait_for_state(PGRAFT_WORKER_WAITING);
	check(status.epoch == 77 && status.node_id == 1, "epoch or node id");
	check(reload(&config) == PGRAFT_OK, "reload");
	config.batch_size_entries = 0;
	check(reload(&config) == PGRAFT_BAD_ARGUMENT, "reload with a bad setting");
	check_handlers();
	check_threads();
	check(request_stop() == PGRAFT_OK && request_stop() == PGRAFT_OK, "stop");
	wait_for_state(PGRAFT_WORKER_STOPPED);
}

int
main(int argc, char **argv)
{
	sigset_t	blocked;
	sigset_t	old;

	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	note_handlers();
	sigemptyset(&blocked);
	for (int i = 0; i < WATCHED_SIGNALS; i++)
		sigaddset(&blocked, watched_signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (load(argv[1]))
		run(argv[2], atoi(argv[3]));
	else
		check(0, "the library cannot be used");
	drain_log();
	return failures == 0 ? 0 : 1;
}
