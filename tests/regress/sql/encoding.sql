-- Text is UTF-8 in the cluster and in its own encoding in each database.
SELECT pgraft_kv_put('umlaut', E'\u00fc'), pgraft_kv_put('euro', E'\u20ac');

\c latin1
SET client_encoding = 'UTF8';
CREATE EXTENSION pgraft;
SELECT pgraft_kv_get('umlaut'), octet_length(pgraft_kv_get('umlaut')) AS bytes;
SELECT pgraft_kv_get('euro');
SELECT pgraft_kv_put(E'stra\u00dfe', E'gr\u00fcn');
SELECT * FROM pgraft_kv_list_keys('stra');
DROP EXTENSION pgraft;

\c regression
SELECT pgraft_kv_get(E'stra\u00dfe');

-- A database without an encoding passes bytes on, if they are UTF-8.
\c ascii
CREATE EXTENSION pgraft;
SELECT octet_length(pgraft_kv_get('euro')) AS bytes;
SELECT pgraft_kv_put('ascii', E'\xff');
SELECT pgraft_kv_put('ascii', E'\xc3\xbc');
SELECT pgraft_kv_exists('ascii');
DROP EXTENSION pgraft;
