CREATE TABLE "sessions" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "user_id" TEXT,
    "ip_address" TEXT,
    "user_agent" TEXT,
    "payload" BLOB NOT NULL,
    "last_activity" INTEGER NOT NULL,
    "revision" INTEGER NOT NULL,
    "live" INTEGER NOT NULL,
    "expires_at" INTEGER NOT NULL
);

CREATE INDEX "sessions_user_id_index" ON "sessions" ("user_id");
CREATE INDEX "sessions_last_activity_index" ON "sessions" ("last_activity");
CREATE INDEX "sessions_expires_at_index" ON "sessions" ("expires_at");
