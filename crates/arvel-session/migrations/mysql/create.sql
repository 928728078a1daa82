CREATE TABLE `sessions` (
    `id` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    `user_id` VARCHAR(255),
    `ip_address` VARCHAR(45),
    `user_agent` TEXT,
    `payload` LONGBLOB NOT NULL,
    `last_activity` BIGINT NOT NULL,
    `revision` BIGINT NOT NULL,
    `live` SMALLINT NOT NULL,
    `expires_at` BIGINT NOT NULL,
    INDEX `sessions_user_id_index` (`user_id`),
    INDEX `sessions_last_activity_index` (`last_activity`),
    INDEX `sessions_expires_at_index` (`expires_at`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
