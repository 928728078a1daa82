CREATE TABLE "sessions" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "user_id" VARCHAR(255),
    "ip_address" VARCHAR(45),
    "user_agent" TEXT,
    "payload" BYTEA NOT NULL,
    "last_activity" BIGINT NOT NULL,
    "revision" BIGINT NOT NULL,
    "live" SMALLINT NOT NULL,
    "expires_at" BIGINT NOT NULL
);

CREATE INDEX "sessions_user_id_index" ON "sessions" ("user_id");
CREATE INDEX "sessions_last_activity_index" ON "sessions" ("last_activity");
CREATE INDEX "sessions_expires_at_index" ON "sessions" ("expires_at");
