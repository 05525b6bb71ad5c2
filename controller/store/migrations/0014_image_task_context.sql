-- What a task on an image needs to know and nobody is shown: in whose name it goes elsewhere, what it found there. A JSON
-- object.
ALTER TABLE image_tasks ADD COLUMN context LONGTEXT;
