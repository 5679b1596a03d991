#include "stack/redis/rdb.h"

#include <inttypes.h>
#include <stdio.h>

static int put_databases(json_t *obj, const struct rdb_summary *s, struct err *err)
{
	CLEANUP(json_freep) json_t *all = json_array();
	for (size_t i = 0; i < s->databases; i++) {
		CLEANUP(json_freep) json_t *one = json_object();
		if (json_put(one, "number", json_integer(s->db[i].number), err) < 0 ||
		    json_put(one, "keys", json_integer((json_int_t)s->db[i].keys), err) < 0 ||
		    json_put(one, "expiring", json_integer((json_int_t)s->db[i].expiring), err) <
			0 ||
		    json_push(all, json_incref(one), err) < 0)
			return -1;
	}
	return json_put(obj, "databases", json_incref(all), err);
}

int rdb_json(const struct rdb *r, json_t **ret, struct err *err)
{
	const struct rdb_summary *s = rdb_summary(r);
	char crc[17];
	snprintf(crc, sizeof crc, "%016" PRIx64, s->crc64);
	CLEANUP(json_freep) json_t *obj = json_object();
	if (json_put(obj, "magic", json_text_value(s->magic), err) < 0 ||
	    json_put(obj, "version", json_integer(s->version), err) < 0 ||
	    json_put(obj, "redis_version", json_text_value(s->redis_version), err) < 0 ||
	    json_put(obj, "created", json_integer(s->created_s), err) < 0 ||
	    json_put(obj, "crc64", json_string(crc), err) < 0 ||
	    json_put(obj, "crc_checked", json_boolean(s->crc_checked), err) < 0 ||
	    json_put(obj, "counted", json_boolean(s->counted), err) < 0 ||
	    json_put(obj, "functions", json_integer((json_int_t)s->functions), err) < 0 ||
	    json_put(obj, "modules", json_boolean(s->has_modules), err) < 0 ||
	    json_put(obj, "bytes", json_integer((json_int_t)s->bytes), err) < 0 ||
	    put_databases(obj, s, err) < 0)
		return -1;
	*ret = json_incref(obj);
	return 0;
}
