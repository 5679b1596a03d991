-- Roles and databases that are hard to carry.
CREATE ROLE "o'dd ""role""" LOGIN PASSWORD E'p''a\\ss';
CREATE ROLE group_a; CREATE ROLE group_b; GRANT group_a TO group_b; GRANT group_b TO "o'dd ""role""";
ALTER ROLE "o'dd ""role""" SET search_path = "a b", 'c''d', public;
CREATE DATABASE "o'dd ""db"" \ %s $x" OWNER "o'dd ""role""";
CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C.UTF-8';
CREATE DATABASE closed ALLOW_CONNECTIONS false;
CREATE DATABASE empty; CREATE DATABASE template_own IS_TEMPLATE true;
ALTER DATABASE "o'dd ""db"" \ %s $x" SET "app.x" = 'a''b';
DROP DATABASE postgres;
