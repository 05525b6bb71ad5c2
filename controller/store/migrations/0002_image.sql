-- Image records. size_bytes and what follows it are NULL until data was accepted; properties is a JSON object of
-- texts, tags a JSON list of texts.

CREATE TABLE images (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255),
    owner VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    visibility VARCHAR(64) NOT NULL,
    protected BOOLEAN NOT NULL,
    hidden BOOLEAN NOT NULL,
    disk_format VARCHAR(64),
    container_format VARCHAR(64),
    min_disk_gib BIGINT NOT NULL,
    min_ram_mib BIGINT NOT NULL,
    size_bytes BIGINT,
    virtual_size_bytes BIGINT,
    md5 VARCHAR(64),
    sha512 VARCHAR(128),
    properties LONGTEXT NOT NULL,
    tags LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX images_owner ON images (owner);
CREATE INDEX images_visibility ON images (visibility);

-- Projects that a shared image is offered to.
CREATE TABLE image_members (
    image_id VARCHAR(64) NOT NULL,
    member_id VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member_id),
    FOREIGN KEY (image_id) REFERENCES images (id) ON DELETE CASCADE
);
CREATE INDEX image_members_member ON image_members (member_id);
