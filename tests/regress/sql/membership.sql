-- Changes of membership that must be refused; those that succeed need servers,
-- and are in the cluster tests.
SELECT statement, test.outcome('SELECT ' || statement) AS outcome
FROM unnest(ARRAY[
	$$pgraft_add_node(0, '127.0.0.1', 7002)$$,
	$$pgraft_add_node(65536, '127.0.0.1', 7002)$$,
	$$pgraft_add_node(-1, '127.0.0.1', 7002)$$,
	$$pgraft_add_node(2, '', 7002)$$,
	$$pgraft_add_node(2, 'two words', 7002)$$,
	$$pgraft_add_node(2, '127.0.0.1', 0)$$,
	$$pgraft_add_node(2, '127.0.0.1', 65536)$$,
	$$pgraft_remove_node(0)$$,
	$$pgraft_update_node(0, '127.0.0.1', 7002)$$,
	$$pgraft_update_node(1, 'two words', 7002)$$,
	$$pgraft_update_node(1, '127.0.0.1', 65536)$$]) AS statement;

-- Already there, not there, the last one.
SELECT test.outcome($$SELECT pgraft_add_node(1, '127.0.0.1', 7001)$$) AS already_member;
SELECT test.outcome('SELECT pgraft_remove_node(9)') AS no_member;
SELECT test.outcome($$SELECT pgraft_update_node(9, '127.0.0.1', 7009)$$) AS no_member_to_move;
SELECT test.outcome('SELECT pgraft_remove_node(1)') AS last_member;
SELECT node_id, is_leader FROM pgraft.nodes;

-- Leadership can only go to another member that answers; to the leader itself it
-- has gone already.
SELECT statement, test.outcome('SELECT ' || statement) AS outcome
FROM unnest(ARRAY[
	$$pgraft_transfer_leadership()$$,
	$$pgraft_transfer_leadership(NULL)$$,
	$$pgraft_transfer_leadership(1)$$,
	$$pgraft_transfer_leadership(9)$$,
	$$pgraft_transfer_leadership(0)$$,
	$$pgraft_transfer_leadership(-1)$$,
	$$pgraft_transfer_leadership(65536)$$]) AS statement;
SELECT pgraft_transfer_leadership(9);
SELECT pgraft_transfer_leadership();
SELECT pgraft_is_leader() AS still_leader;

-- Where it is already, another place, and back.
SELECT last_index FROM pgraft.log_stats \gset
SELECT pgraft_update_node(1, '127.0.0.1', current_setting('pgraft.port')::integer) AS same_place;
SELECT last_index - :last_index AS entries FROM pgraft.log_stats;
SELECT pgraft_update_node(1, 'localhost', 7777) AS moved;
SELECT last_index - :last_index AS entries FROM pgraft.log_stats;
SELECT node_id, address, port, is_leader FROM pgraft.nodes;
SELECT pgraft_update_node(1, '127.0.0.1', current_setting('pgraft.port')::integer) AS moved_back;
SELECT address, port = current_setting('pgraft.port')::integer AS port, is_leader FROM pgraft.nodes;
