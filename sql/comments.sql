/*
 * Every object that a user can see has a comment: \df+ and \d+ are the manual.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lastfluss;

SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'lastfluss'
    AND d.classid <> 'pg_type'::regclass
    AND obj_description(d.objid, d.classid::regclass::name) IS NULL
ORDER BY 1;

SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'lastfluss';
