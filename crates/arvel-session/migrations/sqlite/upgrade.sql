-- For a table that has just the columns id, user_id, ip_address, user_agent, payload and last_activity.
-- Its rows are nobody's sessions here (their ids are not hashes): they count as expired, and the sweep removes them.
-- SQLite cannot change a column's type, so the rows move into a new table.
ALTER TABLE "sessions" RENAME TO "sessions_original";

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

INSERT INTO "sessions"
SELECT "id", "user_id", "ip_address", "user_agent", CAST("payload" AS BLOB), "last_activity", 0, 0, 0
FROM "sessions_original";

DROP TABLE "sessions_original";

CREATE INDEX "sessions_user_id_index" ON "sessions" ("user_id");
CREATE INDEX "sessions_last_activity_index" ON "sessions" ("last_activity");
CREATE INDEX "sessions_expires_at_index" ON "sessions" ("expires_at");
