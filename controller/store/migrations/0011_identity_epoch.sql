-- At most one row: how often the identity tables were changed. Whoever keeps answers worked out from them keeps them as long as
-- this number stays (controller/store/src/epoch.rs).
CREATE TABLE identity_epoch (
    id BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    PRIMARY KEY (id)
);

-- Policy documents that other services may fetch.
CREATE TABLE policy_blobs (
    id VARCHAR(64) NOT NULL,
    document LONGTEXT NOT NULL,
    kind VARCHAR(255) NOT NULL,
    PRIMARY KEY (id)
);
