/*
 * faults.c
 *	  A library that tests preload into a server, to lie to it about clocks and
 *	  disks.
 *
 * Why it is hard: a wait for an absolute time is given to the kernel, which
 * knows the true clock only.  So what a process computed from its wrong clock
 * must be converted back before it waits; otherwise it would oversleep by the
 * whole error.
 *
 * Environment: PGRAFT_FAULTS names a file of 32 bytes that is mapped and
 * may be written at any time: int64 nanoseconds added to the wall clock, int64
 * errno with which syncs fail (0 = they work), int64 whether syncs wait (0 =
 * they do not), int64 nanoseconds that each sync takes longer.
 * PGRAFT_CLOCK_PERMILLE is the
 * rate of CLOCK_MONOTONIC, 1000 being true, and PGRAFT_CLOCK_ORIGIN the true
 * time in nanoseconds at which it was right; both are the same in all processes
 * of a server.
 *
 * Threading: constants after the constructor, and relaxed atomic reads.
 *
 * On failure: a library that cannot do what it was asked to aborts the process,
 * so that no test passes without its fault.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define TRUE_RATE 1000
#define HANG_POLL_NS 1000000

struct control
{
	int64_t		realtime_offset_ns;
	int64_t		sync_errno;
	int64_t		syncs_hang;
	int64_t		sync_delay_ns;
};

static struct control *control;
static int64_t rate_permille = TRUE_RATE;
static int64_t origin_ns;

static int	(*real_clock_gettime) (clockid_t, struct timespec *);
static int	(*real_cond_timedwait) (pthread_cond_t *, pthread_mutex_t *,
									const struct timespec *);
static int	(*real_fdatasync) (int);
static int	(*real_fsync) (int);

static void *
find(const char *name)
{
	void	   *symbol = dlsym(RTLD_NEXT, name);

	if (symbol == NULL)
		abort();
	return symbol;
}

static int64_t
number(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

static void
map_control(void)
{
	int			file = open(getenv("PGRAFT_FAULTS"), O_RDONLY);

	control = mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, file, 0);
	if (control == MAP_FAILED)
		abort();
	close(file);
}

static void __attribute__((constructor))
prepare(void)
{
	real_clock_gettime = find("clock_gettime");
	real_fdatasync = find("fdatasync");
	real_fsync = find("fsync");

	/* Without a version, dlsym may return that of the old condition variables. */
	real_cond_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (real_cond_timedwait == NULL)
		abort();
	if (getenv("PGRAFT_FAULTS") != NULL)
		map_control();
	rate_permille = number("PGRAFT_CLOCK_PERMILLE", TRUE_RATE);
	origin_ns = number("PGRAFT_CLOCK_ORIGIN", 0);
}

/*
 * What has the core in it must leave without the destructors of its libraries,
 * because threads still run.  Here it dies of them.
 */
static void __attribute__((destructor))
end(void)
{
	FILE	   *maps = fopen("/proc/self/maps", "r");
	char		line[512];

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "/pgraft_core.so") != NULL)
			abort();
	if (maps != NULL)
		fclose(maps);
}

static int64_t
to_ns(const struct timespec *t)
{
	return t->tv_sec * NS_PER_S + t->tv_nsec;
}

static void
from_ns(int64_t ns, struct timespec *t)
{
	t->tv_sec = ns / NS_PER_S;
	t->tv_nsec = ns % NS_PER_S;
}

static int64_t
scaled(int64_t ns, int64_t multiplier, int64_t divisor)
{
	return origin_ns + (int64_t) ((__int128) (ns - origin_ns) * multiplier / divisor);
}

static int64_t
realtime_offset_ns(void)
{
	return control == NULL ? 0
		: __atomic_load_n(&control->realtime_offset_ns, __ATOMIC_RELAXED);
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result;

	if (real_clock_gettime == NULL)
		real_clock_gettime = find("clock_gettime");
	result = real_clock_gettime(clock, now);
	if (result != 0)
		return result;
	if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)
		from_ns(scaled(to_ns(now), rate_permille, TRUE_RATE), now);
	else if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		from_ns(to_ns(now) + realtime_offset_ns(), now);
	return 0;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

/* The core's condition variables all wait by CLOCK_MONOTONIC. */
int
pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
					   const struct timespec *until)
{
	struct timespec true_until;

	from_ns(scaled(to_ns(until), TRUE_RATE, rate_permille), &true_until);
	return real_cond_timedwait(condition, mutex, &true_until);
}

/* As a disk that hangs: no error, and no way out but its coming back. */
static void
wait_while_disk_hangs(void)
{
	const struct timespec pause = {0, HANG_POLL_NS};

	while (control != NULL
		   && __atomic_load_n(&control->syncs_hang, __ATOMIC_RELAXED) != 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static int
refused(void)
{
	int			error = control == NULL ? 0
		: (int) __atomic_load_n(&control->sync_errno, __ATOMIC_RELAXED);

	if (error != 0)
		errno = error;
	return error != 0;
}

/* The kernel's sleep: by the true clock. */
static void
dawdle(void)
{
	struct timespec delay = {0};

	if (control == NULL)
		return;
	from_ns(__atomic_load_n(&control->sync_delay_ns, __ATOMIC_RELAXED), &delay);
	if (delay.tv_sec != 0 || delay.tv_nsec != 0)
		(void) nanosleep(&delay, NULL);
}

int
fdatasync(int file)
{
	wait_while_disk_hangs();
	dawdle();
	return refused() ? -1 : real_fdatasync(file);
}

int
fsync(int file)
{
	wait_while_disk_hangs();
	dawdle();
	return refused() ? -1 : real_fsync(file);
}
