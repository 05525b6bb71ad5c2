-- Notifications for outside consumers: written in the transaction of what they tell of, deleted once the broker has
-- confirmed them. message is the JSON of the inner message. created_at is in microseconds since the epoch.
CREATE TABLE outbox (
    message_id VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    priority VARCHAR(16) NOT NULL,
    message LONGTEXT NOT NULL,
    PRIMARY KEY (message_id)
);
CREATE INDEX outbox_created ON outbox (created_at, message_id);

-- At most one row: how many notifications were given up because too many waited.
CREATE TABLE outbox_losses (
    id BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    PRIMARY KEY (id)
);

-- Work that one controller at a time does, again and again: when it is due next, and who is at it until when.
CREATE TABLE duties (
    name VARCHAR(64) NOT NULL,
    run_at BIGINT NOT NULL,
    lease_owner VARCHAR(64),
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (name)
);
