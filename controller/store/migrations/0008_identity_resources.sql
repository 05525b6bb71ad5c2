-- What Keystone keeps beside the fixed attributes: those that it does not know (extra) and resource options,
-- both as JSON objects. NULL stands for an empty one.

ALTER TABLE domains ADD COLUMN extra LONGTEXT;
ALTER TABLE domains ADD COLUMN options LONGTEXT;
ALTER TABLE domains ADD COLUMN tags LONGTEXT;
ALTER TABLE projects ADD COLUMN extra LONGTEXT;
ALTER TABLE projects ADD COLUMN options LONGTEXT;
ALTER TABLE users ADD COLUMN extra LONGTEXT;
ALTER TABLE users ADD COLUMN options LONGTEXT;
ALTER TABLE user_groups ADD COLUMN extra LONGTEXT;
ALTER TABLE roles ADD COLUMN extra LONGTEXT;
ALTER TABLE roles ADD COLUMN options LONGTEXT;
ALTER TABLE regions ADD COLUMN extra LONGTEXT;
ALTER TABLE services ADD COLUMN extra LONGTEXT;
ALTER TABLE endpoints ADD COLUMN extra LONGTEXT;

-- Unified limits. region_key is the region's id, or '' for all regions: NULLs would not be unique.
CREATE TABLE registered_limits (
    id VARCHAR(64) NOT NULL,
    service_id VARCHAR(64) NOT NULL,
    region_id VARCHAR(255),
    region_key VARCHAR(255) NOT NULL,
    resource_name VARCHAR(255) NOT NULL,
    default_limit BIGINT NOT NULL,
    description LONGTEXT,
    PRIMARY KEY (id),
    UNIQUE (service_id, region_key, resource_name),
    FOREIGN KEY (service_id) REFERENCES services (id)
);

-- What one project or domain (owner_id) may have instead of the default.
CREATE TABLE project_limits (
    id VARCHAR(64) NOT NULL,
    registered_limit_id VARCHAR(64) NOT NULL,
    owner_id VARCHAR(64) NOT NULL,
    owner_is_domain BOOLEAN NOT NULL,
    resource_limit BIGINT NOT NULL,
    description LONGTEXT,
    PRIMARY KEY (id),
    UNIQUE (registered_limit_id, owner_id),
    FOREIGN KEY (registered_limit_id) REFERENCES registered_limits (id)
);
CREATE INDEX project_limits_owner ON project_limits (owner_id);
