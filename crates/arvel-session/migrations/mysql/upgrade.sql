-- For a table that has just the columns id, user_id, ip_address, user_agent, payload and last_activity.
-- Its rows are nobody's sessions here (their ids are not hashes): they count as expired, and the sweep removes them.
-- Its own indexes on user_id and last_activity, if it has any, stay.
ALTER TABLE `sessions`
    MODIFY `id` VARCHAR(255) NOT NULL,
    MODIFY `user_id` VARCHAR(255) CHARACTER SET utf8mb4,
    MODIFY `ip_address` VARCHAR(45) CHARACTER SET utf8mb4,
    MODIFY `user_agent` TEXT CHARACTER SET utf8mb4,
    MODIFY `payload` LONGBLOB NOT NULL,
    MODIFY `last_activity` BIGINT NOT NULL,
    ADD COLUMN `revision` BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN `live` SMALLINT NOT NULL DEFAULT 0,
    ADD COLUMN `expires_at` BIGINT NOT NULL DEFAULT 0,
    ADD INDEX `sessions_expires_at_index` (`expires_at`),
    ENGINE = InnoDB;
