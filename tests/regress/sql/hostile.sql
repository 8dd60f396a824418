-- The core library is tests/abi/hostile_core.c, whose answers are wrong as the
-- key says.  Each ends in an error of its statement; the session goes on, and no
-- answer is taken for another request's.
SELECT test.poll($$pgraft_get_worker_state() = 'RUNNING'$$) AS running;
SELECT pg_backend_pid() AS pid \gset
SELECT pgraft_kv_put('good', 'value');

SELECT pgraft_kv_put('other request', 'value');
SELECT pgraft_kv_put('long frame', 'value');
SELECT pgraft_kv_put('short frame', 'value');
SELECT pgraft_kv_put('columns', 'value');
SELECT pgraft_kv_put('many rows', 'value');
SELECT pgraft_kv_put('no row', 'value');
SELECT pgraft_kv_put('wrong type', 'value');
SELECT pgraft_kv_put('unknown type', 'value');
SELECT pgraft_kv_put('cut value', 'value');
SELECT pgraft_kv_get('cut text');
SELECT pgraft_kv_get('bad text');
SELECT pgraft_kv_put('bare error', 'value');
SELECT pgraft_kv_get('bare error');
SELECT pgraft_kv_put('unknown status', 'value');
SELECT pgraft_kv_get('unknown status');

-- Whatever cannot be read is not known to be done or not done: unknown for a
-- write, a failure for a read.
SELECT fault, test.outcome(format('SELECT pgraft_kv_put(%L, %L)', fault, 'value')) AS write,
	test.outcome(format('SELECT pgraft_kv_exists(%L)', fault)) AS read
FROM unnest(ARRAY['long frame', 'short frame', 'columns', 'many rows', 'no row', 'unknown type',
	'cut value', 'unknown status']) AS fault;

-- An error is told even if its text cannot be.
SELECT pgraft_kv_put('foreign text', 'value');
SELECT test.outcome($$SELECT pgraft_kv_put('foreign text', 'value')$$) AS sqlstate;

-- Words on progress are notices, and not more than that.
SELECT pgraft_kv_put('progress', 'value');
SELECT pgraft_kv_put('progress cut', 'value');
SELECT pgraft_kv_put('progress of another', 'value');
SELECT pgraft_kv_put('progress of nobody', 'value');
SELECT pgraft_kv_put('progress in columns', 'value');

-- A lost answer: unknown for a write, a failure for a read.
SELECT pgraft_kv_put('close', 'value');
SELECT pgraft_kv_get('close');
SELECT test.outcome($$SELECT pgraft_kv_put('close', 'value')$$) AS write,
	test.outcome($$SELECT pgraft_kv_get('close')$$) AS read;

-- No answer: the call ends all the same.
SET pgraft.request_timeout = 100;
SELECT pgraft_kv_put('silence', 'value');
SELECT pgraft_kv_get('silence');
SELECT pgraft_kv_put('progress, then silence', 'value');
SELECT test.outcome($$SELECT pgraft_kv_put('silence', 'value')$$) AS write,
	test.outcome($$SELECT pgraft_kv_get('silence')$$) AS read;
RESET pgraft.request_timeout;

-- A cancelled write says that its outcome is unknown, a cancelled read does not.
SET statement_timeout = 200;
SELECT pgraft_kv_put('silence', 'value');
SELECT pgraft_kv_get('silence');
RESET statement_timeout;

SELECT pgraft_kv_put('good', 'value'), pg_backend_pid() = :pid AS same_backend;

-- A core that fails takes its worker along, and nothing else.
SELECT pgraft_kv_put('fail', 'value');
SELECT test.poll($$test.outcome('SELECT pgraft_get_term()') = '57P03'$$) AS gone;
SELECT pgraft_get_worker_state();
SELECT pgraft_kv_put('good', 'value');
SELECT pgraft_is_leader(), pgraft_get_leader();

-- It comes back by itself, and the session with it.
SELECT test.poll($$pgraft_get_worker_state() = 'RUNNING'$$) AS back;
SELECT pgraft_kv_put('good', 'value'), pg_backend_pid() = :pid AS same_backend;
