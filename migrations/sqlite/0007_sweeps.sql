-- What is swept is found by an index, however much stays.

-- Sessions that people ended.
CREATE INDEX web_sessions_ended ON web_sessions (id_hash) WHERE ended = 1;
