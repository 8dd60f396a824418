-- Founding a cluster of one node.
SELECT pgraft_init();
SELECT pgraft_is_leader(), pgraft_get_leader(), pgraft_get_worker_state();

-- Not twice.
SELECT test.outcome('SELECT pgraft_init()') AS again;
SELECT pgraft_is_leader() AS still_leader;
