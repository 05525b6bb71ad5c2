-- Creates that a client marked with an Idempotency-Key. The row is written in the transaction of the create; the answer
-- follows it, encrypted with what only the client's own key gives. created_at is in microseconds since the epoch.

CREATE TABLE idempotent_requests (
    scope_hash VARCHAR(64) NOT NULL,
    body_hash VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    answer LONGTEXT,
    PRIMARY KEY (scope_hash)
);
CREATE INDEX idempotent_requests_created ON idempotent_requests (created_at);
