-- For a table that has just the columns id, user_id, ip_address, user_agent, payload and last_activity.
-- Its rows are nobody's sessions here (their ids are not hashes): they count as expired, and the sweep removes them.
-- Its own indexes on user_id and last_activity, if it has any, stay.
ALTER TABLE "sessions"
    ALTER COLUMN "id" TYPE VARCHAR(255) USING "id"::TEXT,
    ALTER COLUMN "user_id" TYPE VARCHAR(255) USING "user_id"::TEXT,
    ALTER COLUMN "ip_address" TYPE VARCHAR(45) USING "ip_address"::TEXT,
    ALTER COLUMN "user_agent" TYPE TEXT USING "user_agent"::TEXT,
    ALTER COLUMN "payload" TYPE BYTEA USING convert_to("payload"::TEXT, 'UTF8'),
    ALTER COLUMN "last_activity" TYPE BIGINT,
    ADD COLUMN "revision" BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN "live" SMALLINT NOT NULL DEFAULT 0,
    ADD COLUMN "expires_at" BIGINT NOT NULL DEFAULT 0;

CREATE INDEX "sessions_expires_at_index" ON "sessions" ("expires_at");
