-- Image records. size_bytes and what follows it are NULL until data was accepted; properties is a JSON object of
-- texts, tags a JSON list of texts.

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    name TEXT,
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    protected INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    disk_format TEXT,
    container_format TEXT,
    min_disk_gib BIGINT NOT NULL,
    min_ram_mib BIGINT NOT NULL,
    size_bytes BIGINT,
    virtual_size_bytes BIGINT,
    md5 TEXT,
    sha512 TEXT,
    properties TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX images_owner ON images (owner);
CREATE INDEX images_visibility ON images (visibility);

-- Projects that a shared image is offered to.
CREATE TABLE image_members (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member_id)
);
CREATE INDEX image_members_member ON image_members (member_id);
