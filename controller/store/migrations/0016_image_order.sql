-- Lists of images come by age, and by id among those of the same age.
CREATE INDEX images_by_age ON images (created_at, id);
