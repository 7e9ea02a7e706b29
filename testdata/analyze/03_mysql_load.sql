/*!40101 SET NAMES utf8mb4 */;
SET FOREIGN_KEY_CHECKS=0;
# members come as a whole
TRUNCATE TABLE `members`;
INSERT INTO `members` (`id`, `name`) SELECT id, CONCAT('it\'s ', name) FROM old_members;
INSERT IGNORE INTO clubs (id, name) SELECT id, name FROM old_clubs;
INSERT INTO `teams` (id, email) SELECT id, email FROM old_teams ON DUPLICATE KEY UPDATE email = VALUES(email);
REPLACE INTO fees SELECT * FROM old_fees;
DELIMITER //
CREATE PROCEDURE copy_games() BEGIN
  INSERT INTO games SELECT * FROM old_games WHERE changed_at >= last_sync;
END //
DELIMITER ;
SET FOREIGN_KEY_CHECKS=1;
