/* delete_guard: install script, joined from extension/parts in order. */

-- complain if the script is sourced in psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION delete_guard" to load this file. \quit
