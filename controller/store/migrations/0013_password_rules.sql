-- What the rules of passwords and accounts need to know. Times are microseconds since the epoch. A password that was
-- there before has no times: it is as old as can be and does not expire. password_is_own: its user chose it.
ALTER TABLE users ADD COLUMN created_at BIGINT;
ALTER TABLE users ADD COLUMN password_created_at BIGINT;
ALTER TABLE users ADD COLUMN password_expires_at BIGINT;
ALTER TABLE users ADD COLUMN password_is_own BOOLEAN;

-- Logins by password that failed since the last that did not.
CREATE TABLE login_failures (
    user_id VARCHAR(64) NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- Passwords that a user had before.
CREATE TABLE password_history (
    id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    password_hash LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX password_history_user ON password_history (user_id, created_at);

-- The day, counted from the epoch, on which a user last logged in.
CREATE TABLE user_activity (
    user_id VARCHAR(64) NOT NULL,
    last_day BIGINT NOT NULL,
    PRIMARY KEY (user_id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- The identity provider's name in the clear, for lists; rows from before have its hash alone.
ALTER TABLE federated_users ADD COLUMN unique_id LONGTEXT;
