/* How a restored component is to run: the image that is here, and the user. */
#include <stdlib.h>
#include <string.h>
#include "stack/compose/engine_docker.h"
#include "stack/compose/engine_docker_box.h"

static const char volume_prefix[] = "volume ";

static bool is_volume(const char *component)
{
	return strncmp(component, volume_prefix, sizeof volume_prefix - 1) == 0;
}

static const char *wanted_image(const struct engine_docker *e, const char *component)
{
	for (size_t i = 0; i < e->service_count; i++)
		if (strcmp(e->services[i].component, component) == 0)
			return e->services[i].image;
	return NULL;
}

/* ---- the image ---- */

/* What can be put into a path of the API: it may come from an archive. */
static bool is_image_name(const char *name)
{
	return name[0] != '\0' && strstr(name, "..") == NULL &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "._-/:@+") == strlen(name);
}

/* The id of the image called `name` (an id, a digest, a tag). *ret stays NULL: it is not here. */
static int image_here(struct engine_docker *e, const char *name, char **ret, struct err *err)
{
	CLEANUP(json_freep) json_t *facts = NULL;
	struct err why = ERR_INIT;
	if (!is_image_name(name))
		return 0;
	if (docker_get(e->d, &facts, &why, "/images/%s/json", name) < 0) {
		if (why.code == ERR_ABSENT)
			return 0;
		*err = why;
		return err_wrap(err, "image '%s'", name);
	}
	return str_dup(json_str_or(facts, "Id", name), ret, err);
}

/* A volume's files need a container around them, and any image of the stack will do. */
static int any_image(struct engine_docker *e, char **ret, struct err *err)
{
	json_t *list;
	if (e->component_count > 0)
		return str_dup(e->components[0].image, ret, err);
	if (docker_containers(e, false, &list, err) < 0)
		return -1;
	const char *id = json_str_or(json_array_get(list, 0), "ImageID", "");
	return id[0] != '\0' ? image_here(e, id, ret, err) : 0;
}

static int image_absent(struct engine_docker *e, const char *component, const json_t *runtime,
			struct err *err)
{
	CLEANUP(freep) char *namesake = NULL;
	const char *name = json_str_or(runtime, "image", "");
	const char *id = json_str_or(runtime, "image_id", "");
	const char *digest =
	    json_string_value(json_array_get(json_object_get(runtime, "image_digests"), 0));
	if (image_here(e, name, &namesake, err) < 0)
		return -1;
	if (name[0] == '\0' && id[0] == '\0') {
		err_set(err, ERR_ABSENT, "the backup does not say on which image '%s' ran",
			component);
		return err_hint(err, "Name one: --image %s=IMAGE", component);
	}
	err_set(err, ERR_ABSENT, "image '%s' of '%s' is not here (%s)%s", name, component,
		digest != NULL ? digest : id,
		namesake != NULL ? "; what has this name now is another one" : "");
	if (digest != NULL)
		return err_hint(err,
				"Get it: docker pull %s. Or restore on another one: --image "
				"%s=%s",
				digest, component, namesake != NULL ? name : "IMAGE");
	return err_hint(err, "Get it: docker load. Or restore on another one: --image %s=%s",
			component, namesake != NULL ? name : "IMAGE");
}

/* By id, then by digest: never by name alone, which may mean another image by now. */
static int find_image(struct engine_docker *e, const char *component, const json_t *runtime,
		      char **ret, struct err *err)
{
	const char *wanted = wanted_image(e, component);
	size_t i;
	json_t *digest;
	if (wanted != NULL) {
		if (image_here(e, wanted, ret, err) < 0)
			return -1;
		if (*ret != NULL)
			return 0;
		err_set(err, ERR_ABSENT,
			"image '%s' is not here, which '%s' is to be restored with", wanted,
			component);
		return err_hint(err, "Get it: docker pull %s", wanted);
	}
	if (image_here(e, json_str_or(runtime, "image_id", ""), ret, err) < 0)
		return -1;
	json_array_foreach(json_object_get(runtime, "image_digests"), i, digest)
	{
		if (*ret == NULL && json_is_string(digest) &&
		    image_here(e, json_string_value(digest), ret, err) < 0)
			return -1;
	}
	if (*ret == NULL && is_volume(component) && any_image(e, ret, err) < 0)
		return -1;
	return *ret != NULL ? 0 : image_absent(e, component, runtime, err);
}

/* ---- the user ---- */

/* Another image may have given the server's user another number: whom its data folder belongs to,
 * or else as whom it runs. */
static int user_of_image(struct engine_docker *e, struct docker_component *c, struct err *err)
{
	struct docker_helper helper = {0};
	struct err why = ERR_INIT;
	unsigned uid, gid;
	size_t i;
	json_t *mount;
	int rc = docker_helper_make(&helper, e, c, NULL, err);
	json_array_foreach(json_object_get(c->runtime, "mounts"), i, mount)
	{
		const char *destination = json_str_or(mount, "destination", "");
		if (rc < 0 || destination[0] != '/' ||
		    docker_owner(e, helper.id, destination, &uid, &gid, &why) < 0)
			continue;
		/* Root's: the mount point that the daemon makes for an image which lacks it. */
		if (uid != 0) {
			c->uid = uid;
			c->gid = gid;
			break;
		}
	}
	docker_helper_done(&helper);
	return rc < 0 ? -1 : cancel_check(err);
}

/* ---- adopting ---- */

static void component_done(struct docker_component *c)
{
	free(c->name);
	json_decref(c->runtime);
	free(c->image);
	*c = (struct docker_component){0};
}

void docker_components_done(struct engine_docker *e)
{
	for (size_t i = 0; i < e->component_count; i++)
		component_done(&e->components[i]);
	e->component_count = 0;
}

/* Production is the model where the backup does not know any; without production only an image
 * that the user names is left. */
static int model_of(struct engine_docker *e, const char *component, const json_t *runtime,
		    json_t **ret, struct err *err)
{
	struct err why = ERR_INIT;
	CLEANUP(freep) char *volume = NULL;
	if (runtime != NULL && strcmp(json_str_or(runtime, "engine", ""), "docker") == 0) {
		*ret = json_deep_copy(runtime);
		return *ret != NULL ? 0 : err_nomem(err, "a description of a component");
	}
	int rc;
	if (!is_volume(component)) {
		rc = docker_stack_describe(&e->base, component, ret, &why);
	} else {
		rc = docker_stack_volume_of(&e->base, NULL, NULL,
					    component + sizeof volume_prefix - 1, &volume, &why);
		if (rc == 0)
			rc = docker_stack_volume_describe(&e->base, volume, ret, &why);
	}
	if (rc == 0)
		return 0;
	if (why.code != ERR_ABSENT ||
	    (wanted_image(e, component) == NULL && !is_volume(component))) {
		*err = why;
		return err_wrap(err, "the backup does not say how '%s' ran", component);
	}
	*ret = json_object();
	return *ret != NULL ? 0 : err_nomem(err, "a description of a component");
}

static struct docker_component *place_of(struct engine_docker *e, const char *component)
{
	for (size_t i = 0; i < e->component_count; i++)
		if (strcmp(e->components[i].name, component) == 0)
			return &e->components[i];
	return e->component_count < sizeof e->components / sizeof *e->components
		   ? &e->components[e->component_count]
		   : NULL;
}

int docker_stack_adopt(struct engine *base, const char *component, const json_t *runtime,
		       struct err *err)
{
	struct engine_docker *e = (struct engine_docker *)base;
	struct docker_component c = {0}, *place = place_of(e, component);
	if (place == NULL)
		return err_set(err, ERR_LIMIT, "a stack of more than %zu components",
			       e->component_count);
	if (str_dup(component, &c.name, err) < 0 ||
	    model_of(e, component, runtime, &c.runtime, err) < 0 ||
	    find_image(e, component, c.runtime, &c.image, err) < 0)
		goto fail;
	c.uid = (unsigned)json_u64_or(c.runtime, "uid", 0);
	c.gid = (unsigned)json_u64_or(c.runtime, "gid", 0);
	bool same_image = strcmp(json_str_or(c.runtime, "image_id", ""), c.image) == 0;
	if (!same_image && wanted_image(e, component) != NULL && user_of_image(e, &c, err) < 0)
		goto fail;
	if (place == &e->components[e->component_count])
		e->component_count++;
	else
		component_done(place);
	*place = c;
	return 0;
fail:
	component_done(&c);
	return -1;
}

int docker_adopted(const struct engine_docker *e, const char *component,
		   const struct docker_component **ret, struct err *err)
{
	for (size_t i = 0; i < e->component_count; i++) {
		if (strcmp(e->components[i].name, component) != 0)
			continue;
		*ret = &e->components[i];
		return 0;
	}
	return err_set(err, ERR_FAILED, "nobody has said how '%s' is to run", component);
}
